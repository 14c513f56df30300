//! Where a gRPC call goes: Envoy wants a serialised [`GrpcService`][proto], the SDK wants text.
//!
//! [proto]: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/grpc_service.proto

/// `{ envoy_grpc: { cluster_name } }`. Lengths above 127 are not text, so that longer names go as they are, which Envoy
/// takes for a name where it is no message by chance; `None` for a long name that could be one.
pub(super) fn target(cluster: &str) -> Option<String> {
    // The name's length, and that with its tag and length.
    let (name, service) = (cluster.len(), cluster.len().checked_add(2)?);
    let (Some(name), Some(service)) = (ascii(name), ascii(service)) else {
        return (!may_be_message(cluster.as_bytes())).then(|| cluster.to_owned());
    };
    Some(
        [FIELD_1, service, FIELD_1, name]
            .into_iter()
            .chain(cluster.chars())
            .collect(),
    )
}

/// The tag of field 1, length-delimited: of `envoy_grpc` in the one message and of `cluster_name` in the other.
const FIELD_1: char = '\x0a';

fn ascii(length: usize) -> Option<char> {
    let byte = u8::try_from(length).ok()?;
    byte.is_ascii().then(|| char::from(byte))
}

/// Whether [protobuf's wire format][wire] does not rule it out.
///
/// [wire]: https://protobuf.dev/programming-guides/encoding/
fn may_be_message(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let Some((tag, rest)) = varint(bytes) else {
            return false;
        };
        let rest = match (tag >> 3, tag & 7) {
            (0, _) => None,
            (_, 0) => varint(rest).map(|(_, rest)| rest),
            (_, 1) => rest.get(8..),
            (_, 2) => varint(rest).and_then(|(length, rest)| rest.get(usize::try_from(length).ok()?..)),
            // A group, whose end is not looked for.
            (_, 3) => return true,
            (_, 5) => rest.get(4..),
            _ => None,
        };
        let Some(rest) = rest else { return false };
        bytes = rest;
    }
    true
}

/// A number of at most ten bytes, seven bits in each, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = 1 + bytes.iter().take(10).position(u8::is_ascii)?;
    let (number, rest) = bytes.split_at_checked(length)?;
    let number = number
        .iter()
        .rev()
        .fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_wrapped() {
        assert_eq!(target("limits").unwrap().as_bytes(), b"\x0a\x08\x0a\x06limits");
        let name = "n".repeat(125);
        let wrapped = target(&name).unwrap();
        assert_eq!(&wrapped.as_bytes()[..4], [0x0a, 127, 0x0a, 125]);
        assert_eq!(&wrapped[4..], name);
        // Length is counted in bytes.
        assert_eq!(target("ü").unwrap().as_bytes(), b"\x0a\x04\x0a\x02\xc3\xbc");
    }

    #[test]
    fn a_long_name_goes_as_it_is_where_it_is_no_message() {
        for start in ["outbound|8081||", "httproute/", "limits"] {
            let name = format!("{start}{}", "x".repeat(125));
            assert_eq!(target(&name).as_ref(), Some(&name), "{start}");
        }
        // Field 13, 97 bytes long, and 28 more of the same; a varint each; a group.
        let delimited = format!("ja{}j\x1b{}", "x".repeat(97), "x".repeat(27));
        for name in [delimited, "hh".repeat(63), format!("k{}", "x".repeat(125))] {
            assert_eq!(target(&name), None, "{name:?}");
        }
    }

    #[test]
    fn what_the_wire_format_rules_out() {
        for bytes in [
            &b"\x07"[..],
            b"\x0e",
            b"\x0c",
            b"\x01........",
            b"\x08",
            b"\x0a\x02a",
            b"\x09abcdefg",
            b"\x0dabc",
            b"\x80",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert!(!may_be_message(bytes), "{bytes:?}");
        }
        for bytes in [
            &b""[..],
            b"\x08\xff\x01",
            b"\x0a\x02ab",
            b"\x09abcdefgh",
            b"\x0dabcd",
            b"\x8a\x01\x00",
        ] {
            assert!(may_be_message(bytes), "{bytes:?}");
        }
    }
}
