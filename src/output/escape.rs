/// How what cannot be written as it is gets written.
pub(super) struct Dialect {
    /// The ASCII bytes that go through untouched.
    plain: [bool; 256],
    /// Writes a character that does not go through.
    special: fn(char, &mut Vec<u8>),
    /// Writes bytes that are no UTF-8.
    broken: fn(&[u8], &mut Vec<u8>),
}

/// For people: what is not text is shown as `\xNN`.
pub(super) static SHOWN: Dialect = Dialect { plain: plain_bytes(b"\t", b""), special: show_char, broken: show_bytes };

/// For the inside of a JSON string.
pub(super) static JSON: Dialect = Dialect { plain: plain_bytes(b"", b"\"\\"), special: json_char, broken: replacement };

/// Printable ASCII, and these, but not those.
const fn plain_bytes(also: &[u8], not: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        table[byte] = true;
        byte += 1;
    }
    let mut i = 0;
    while i < also.len() {
        table[also[i] as usize] = true;
        i += 1;
    }
    i = 0;
    while i < not.len() {
        table[not[i] as usize] = false;
        i += 1;
    }
    table
}

/// Appends `text`, escaped, as long as `out` does not grow beyond `limit`; returns how many bytes of `text` went in.
/// Never cuts within a character or an escape.
pub(super) fn escape(text: &[u8], limit: usize, dialect: &Dialect, out: &mut Vec<u8>) -> usize {
    let mut used = 0;
    loop {
        let rest = &text[used..];
        let ahead = &rest[..rest.len().min(limit.saturating_sub(out.len()))];
        let plain = ahead.iter().position(|byte| !dialect.plain[usize::from(*byte)]).unwrap_or(ahead.len());
        out.extend_from_slice(&ahead[..plain]);
        used += plain;
        let before = out.len();
        let taken = escape_one(&text[used..], dialect, out);
        if taken == 0 || out.len() > limit {
            out.truncate(before);
            return used;
        }
        used += taken;
    }
}

/// Appends the first character of `text`, or the bytes at its start that are none; returns how many bytes they were, 0
/// at the end.
fn escape_one(text: &[u8], dialect: &Dialect, out: &mut Vec<u8>) -> usize {
    // No character has more than four bytes; more would only be looked at in vain.
    let Some(chunk) = text[..text.len().min(4)].utf8_chunks().next() else {
        return 0;
    };
    let Some(character) = chunk.valid().chars().next() else {
        (dialect.broken)(chunk.invalid(), out);
        return chunk.invalid().len();
    };
    let length = character.len_utf8();
    if dialect.plain[usize::from(text[0])] || !(character.is_ascii() || character.is_control()) {
        out.extend_from_slice(&text[..length]);
    } else {
        (dialect.special)(character, out);
    }
    length
}

fn show_char(character: char, out: &mut Vec<u8>) {
    show_bytes(character.encode_utf8(&mut [0; 4]).as_bytes(), out);
}

fn show_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(b"\\x");
        hex(*byte, out);
    }
}

fn json_char(character: char, out: &mut Vec<u8>) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        other => {
            // Only control characters are left: one byte's worth, C1 included.
            out.extend_from_slice(b"\\u00");
            hex(other as u8, out);
        }
    }
}

fn replacement(_: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice("\u{fffd}".as_bytes());
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}
