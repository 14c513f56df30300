//! What needs no closer look.

use super::found::{Expected, Found, Place};
use super::scan::Scan;

/// Whether a message is a notification that names no task: an object with a `method` and with neither `id` nor `result`
/// nor `error`, spelled plainly. Costs one pass over the text, which ends at the first `id`.
///
/// What it says yes to may still not be UTF-8, hold a key twice that decides nothing, or strings with control characters.
/// No client takes it for a response or a request.
pub fn is_plain_notification(message: &[u8]) -> bool {
    let mut scan = Scan::new(Place::Notification, Expected::Any);
    scan.push(message);
    scan.is_complete() && scan.found().is_some_and(Found::names_plain_method)
}
