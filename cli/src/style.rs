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

/// Text from the wire, with nothing in it that steers a terminal or turns the direction of what follows: control
/// characters and those of Unicode's
/// [bidirectional algorithm](https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters). Cut at 200
/// characters.
pub(crate) fn clean(text: &str) -> String {
    const SHOWN: usize = 200;
    text.chars()
        .take(SHOWN)
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Whether a character is an instruction and no text.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
