//! Sessions and tasks, bound to the key that they were made for.
