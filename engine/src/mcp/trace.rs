//! W3C trace context: which trace a request belongs to. <https://www.w3.org/TR/trace-context/#traceparent-header>

use super::envelope::Params;

/// The trace that a message names in its `_meta`.
/// <https://modelcontextprotocol.io/specification/2026-07-28/basic/index#_meta>
pub fn in_meta(params: &Params<'_>) -> Option<[u8; 32]> {
    let traceparent = params.get("_meta")?.get("traceparent")?.as_str()?;
    trace_id(traceparent.as_bytes())
}

/// A trace id alone: 32 lower-case hexadecimal digits, not all of them 0.
pub fn plain_id(text: &[u8]) -> Option<[u8; 32]> {
    let id: [u8; 32] = text.try_into().ok()?;
    (is_hex(&id) && id != [b'0'; 32]).then_some(id)
}

/// The trace id of a `traceparent`, in lower-case hex as received; `None` if it is not well formed.
pub fn trace_id(traceparent: &[u8]) -> Option<[u8; 32]> {
    let (version, rest) = field::<2>(traceparent)?;
    let (trace, rest) = field::<32>(rest)?;
    let (parent, rest) = field::<16>(rest)?;
    let (flags, rest) = rest.split_first_chunk::<2>()?;
    // Later versions may have more fields; this one has not.
    let ends = rest.is_empty() || (version != *b"00" && rest.starts_with(b"-"));
    let well_formed =
        ends && version != *b"ff" && trace != [b'0'; 32] && parent != [b'0'; 16] && is_hex(flags);
    well_formed.then_some(trace)
}

fn field<const N: usize>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let (field, rest) = text.split_first_chunk::<N>()?;
    is_hex(field).then_some((*field, rest.strip_prefix(b"-")?))
}

fn is_hex(text: &[u8]) -> bool {
    text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &[u8; 32] = b"4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn what_the_standard_allows_is_read() {
        for text in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id(text.as_bytes()), Some(*TRACE), "{text}");
        }
    }

    #[test]
    fn an_id_alone_is_read_in_one_spelling() {
        assert_eq!(plain_id(TRACE), Some(*TRACE));
        for text in [
            "",
            "-",
            "00000000000000000000000000000000",
            "4BF92F3577B34DA6A3CE929D0E0E4736",
            "4bf92f3577b34da6a3ce929d0e0e473",
            "4bf92f3577b34da6a3ce929d0e0e47366",
        ] {
            assert_eq!(plain_id(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn everything_else_is_no_trace() {
        for text in [
            "",
            "00",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id(text.as_bytes()), None, "{text}");
        }
    }
}
