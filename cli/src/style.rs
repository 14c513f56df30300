//! Colours, which `anstream` drops where the output is no terminal or `NO_COLOR` is set.

use anstyle::{AnsiColor, Style};

/// Refused, wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Allowed, right.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Worth a look: warnings, shadowed refusals.
pub(crate) const NOTE: Style = AnsiColor::Yellow.on_default();
/// Where something is.
pub(crate) const PLACE: Style = Style::new().bold();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
