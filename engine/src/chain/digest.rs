//! The digest of a record, and the bytes that it is taken of.

use sha2::{Digest, Sha256};

/// As much of a SHA-256 as a digest has.
pub(super) const BYTES: usize = 16;

/// The digest of a record: the first 32 hexadecimal digits of the SHA-256 of its fields, in the order in which they are
/// given, each as `name=length:value` and a line feed; the length is that of the value in bytes of UTF-8, in decimal. A
/// field without a value, or with an empty one, is left out.
///
/// For a record of the access log the fields are [`FIELDS`](crate::exchange::FIELDS) but the last, in that order, under
/// their names as filter state.
///
/// ```
/// use toolgate_engine::chain::digest;
///
/// let fields = [("decision", "allowed"), ("would_deny", ""), ("chain_seq", "1")];
/// // SHA-256 of "decision=7:allowed\nchain_seq=1:1\n"
/// assert_eq!(digest(fields), "fc5df4b18fd01a1d81ed4ab9fae8cbca");
/// ```
pub fn digest<'a>(fields: impl IntoIterator<Item = (&'a str, impl AsRef<str>)>) -> String {
    let mut text = Vec::new();
    for (name, value) in fields {
        write(name, value.as_ref(), &mut text);
    }
    hex(&of_text(&text))
}

/// Appends a field.
pub(super) fn write(name: &str, value: &str, out: &mut Vec<u8>) {
    if value.is_empty() {
        return;
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    out.extend_from_slice(itoa::Buffer::new().format(value.len()).as_bytes());
    out.push(b':');
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// The digest of all fields, written.
pub(super) fn of_text(text: &[u8]) -> [u8; BYTES] {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(bytes, &mut text);
    text
}

/// Appends bytes as lower-case hexadecimal digits.
pub(crate) fn push_hex(bytes: &[u8], out: &mut String) {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    // Eight bytes at a time: text that is known to be text costs the least in one piece.
    for bytes in bytes.chunks(8) {
        let mut digits = [0; 16];
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = [digit(byte >> 4), digit(byte & 0xf)];
        }
        let digits = digits.get(..bytes.len() * 2).unwrap_or_default();
        out.push_str(std::str::from_utf8(digits).unwrap_or_default());
    }
}
