//! What a regular expression costs per byte.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::super::{CompileError, text};

/// Positions of one pattern at most, repetitions written out.
const MAX_POSITIONS: u64 = 10_000;
/// Positions up to which the states of a pattern are few enough to be built once and kept.
const FEW: u64 = 12;

/// What a pattern takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Its positions, repetitions written out: the states it can be in at once, at most.
    pub(super) positions: u64,
    /// Half-steps per byte of a text, at worst.
    pub(super) per_byte: u64,
}

/// What matching `pattern` by a linear-time engine takes.
pub(super) fn cost(pattern: &str) -> Result<Cost, CompileError> {
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
    let positions = positions(&hir);
    if positions > MAX_POSITIONS {
        return Err(CompileError::new(format!(
            "the pattern {} is too large: its repetitions, written out, are {positions} positions long",
            text::quote_str(pattern)
        )));
    }
    let per_byte = match positions {
        _ if is_anchored_run(&hir) => 4,
        few @ ..=FEW => few,
        many => many.saturating_mul(4),
    };
    Ok(Cost { positions, per_byte })
}

/// `^[a-z]{1,500}$`: a length in disguise. However long, it is in one state at a time.
fn is_anchored_run(hir: &Hir) -> bool {
    let HirKind::Concat(parts) = hir.kind() else {
        return false;
    };
    let [start, run, end] = parts.as_slice() else {
        return false;
    };
    matches!(start.kind(), HirKind::Look(Look::Start))
        && matches!(end.kind(), HirKind::Look(Look::End))
        && matches!(run.kind(), HirKind::Repetition(r) if matches!(r.sub.kind(), HirKind::Class(_)))
}

fn positions(hir: &Hir) -> u64 {
    let sum = |parts: &[Hir]| parts.iter().map(positions).fold(1, u64::saturating_add);
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(Class::Bytes(_)) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(Class::Unicode(class)) => {
            if class.is_ascii() {
                1
            } else {
                2
            }
        }
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
