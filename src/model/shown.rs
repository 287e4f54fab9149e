/// What others have sent, so that it can be told on one line: as it is where it is text, control characters and bytes that
/// are no text as `\xNN`, line ends as `\n`. At most `most` bytes of it, and then `…`.
pub fn shown(bytes: &[u8], most: usize) -> String {
    let mut text = String::new();
    let cut = bytes.len() > most;
    for chunk in bytes[..bytes.len().min(most)].utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push(' '),
                control if control.is_control() => push_bytes(&mut text, control.encode_utf8(&mut [0; 4]).as_bytes()),
                other => text.push(other),
            }
        }
        // The cut may be within a character.
        let is_half = cut && chunk.invalid().as_ptr_range().end == bytes[..most].as_ptr_range().end;
        if !is_half {
            push_bytes(&mut text, chunk.invalid());
        }
    }
    if cut {
        text.push('…');
    }
    text
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push_str(&format!("\\x{byte:02x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_is_shown_is_one_line_of_text() {
        let rows: [(&[u8], usize, &str); 8] = [
            (b"", 10, ""),
            (b"plain", 5, "plain"),
            (b"plainer", 5, "plain…"),
            (b"a\nb\r\nc\td", 20, "a\\nb\\r\\nc d"),
            (b"\x1b[31m\x00\xff\xfe", 20, "\\x1b[31m\\x00\\xff\\xfe"),
            ("\u{85}ü".as_bytes(), 20, "\\xc2\\x85ü"),
            ("üü".as_bytes(), 3, "ü…"),
            (b"a\xffb", 2, "a…"),
        ];
        for (bytes, most, expected) in rows {
            assert_eq!(shown(bytes, most), expected, "{bytes:?}");
        }
    }
}
