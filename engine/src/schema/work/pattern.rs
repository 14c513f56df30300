//! What a regular expression costs per byte.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::super::{CompileError, text};

/// Positions of one pattern at most, repetitions written out.
const MAX_WEIGHT: u64 = 20_000;

/// The states that a linear-time engine can be in at once, at most: the positions of the pattern
/// with its repetitions written out. Matching takes this many steps per byte, at worst.
pub(super) fn weight(pattern: &str) -> Result<u64, CompileError> {
    let unsupported = || {
        CompileError::new(format!(
            "the pattern {} is not a regular expression that runs in linear time \
             (look-around and back-references are not supported)",
            text::quote_str(pattern)
        ))
    };
    let translated = jsonschema_regex::to_rust_regex(pattern).map_err(|()| unsupported())?;
    let hir = regex_syntax::ParserBuilder::new()
        .nest_limit(100)
        .build()
        .parse(&translated)
        .map_err(|_| unsupported())?;
    let weight = positions(&hir);
    if weight > MAX_WEIGHT {
        return Err(CompileError::new(format!(
            "the pattern {} is too large: its repetitions, written out, are {weight} positions long",
            text::quote_str(pattern)
        )));
    }
    Ok(weight)
}

fn positions(hir: &Hir) -> u64 {
    let sum = |parts: &[Hir]| parts.iter().map(positions).fold(1, u64::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Unicode(_)) => 2,
        HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            positions(&repetition.sub)
                .saturating_mul(u64::from(times))
                .saturating_add(1)
        }
        HirKind::Capture(capture) => positions(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
    }
}
