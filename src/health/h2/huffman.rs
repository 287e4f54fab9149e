//! HPACK's code for text (RFC 7541, appendix B). It is canonical: of two codes of one length the one of the smaller byte is
//! smaller, and a longer one comes after all that are shorter. So the lengths are all that need be known.

/// The length of each byte's code, and at last of the one that means "the end".
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];

const SYMBOLS: usize = 257;
const LONGEST: usize = 30;
const END: u16 = 256;

/// For each length: the first code, how many there are, and where their symbols begin in the order of the codes.
struct Codes {
    first: [u32; LONGEST + 1],
    count: [u32; LONGEST + 1],
    start: [usize; LONGEST + 1],
    symbols: [u16; SYMBOLS],
}

static CODES: Codes = codes();

const fn codes() -> Codes {
    let mut codes =
        Codes { first: [0; LONGEST + 1], count: [0; LONGEST + 1], start: [0; LONGEST + 1], symbols: [0; SYMBOLS] };
    let (mut length, mut next, mut placed) = (1, 0, 0);
    while length <= LONGEST {
        next <<= 1;
        codes.first[length] = next;
        codes.start[length] = placed;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                codes.symbols[placed] = symbol as u16;
                placed += 1;
                next += 1;
            }
            symbol += 1;
        }
        codes.count[length] = next - codes.first[length];
        length += 1;
    }
    codes
}

/// The text, or `None` for what is none.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    // No code is shorter than five bits.
    let mut text = Vec::with_capacity(bytes.len() * 8 / 5);
    let (mut code, mut length) = (0u32, 0);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1)) {
        code = code << 1 | u32::from(bit);
        length += 1;
        let offset = code.wrapping_sub(CODES.first[length]);
        if offset < CODES.count[length] {
            let symbol = CODES.symbols[CODES.start[length] + offset as usize];
            text.push(u8::try_from(symbol).ok().filter(|_| symbol != END)?);
            (code, length) = (0, 0);
        } else if length == LONGEST {
            return None;
        }
    }
    // What fills the last byte is the beginning of the end: ones.
    let is_padding = length < 8 && code == (1 << length) - 1;
    is_padding.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{CODES, LENGTHS, LONGEST, decode};

    /// The code of a byte, as the table has it.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits = String::new();
        for byte in text {
            let length = usize::from(LENGTHS[usize::from(*byte)]);
            let symbols = &CODES.symbols[CODES.start[length]..];
            let place = symbols.iter().position(|symbol| *symbol == u16::from(*byte)).expect("it has a code");
            bits.push_str(&format!("{:0length$b}", CODES.first[length] + place as u32));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        let byte = |chunk: &[u8]| u8::from_str_radix(std::str::from_utf8(chunk).expect("digits"), 2).expect("a byte");
        bits.as_bytes().chunks(8).map(byte).collect()
    }

    // Appendix B: the first, some in between, and the last.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let rows: [(u8, u32, u32); 8] = [
            (b'0', 0x0, 5),
            (b't', 0x9, 5),
            (b' ', 0x14, 6),
            (b':', 0x5c, 7),
            (b'z', 0x7b, 7),
            (0, 0x1ff8, 13),
            (127, 0xffffffc, 28),
            (22, 0x3ffffffe, 30),
        ];
        for (byte, code, length) in rows {
            let symbols = &CODES.symbols[CODES.start[length as usize]..];
            let place = symbols.iter().position(|symbol| *symbol == u16::from(byte)).expect("it has a code");
            assert_eq!(
                (CODES.first[length as usize] + place as u32, u32::from(LENGTHS[usize::from(byte)])),
                (code, length)
            );
        }
        // All codes are used, the end being all ones.
        assert_eq!(CODES.first[LONGEST] + CODES.count[LONGEST] - 1, (1 << LONGEST) - 1);
    }

    #[test]
    fn every_byte_is_read_as_it_was_written() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), Some(all.clone()));
        for byte in all {
            assert_eq!(decode(&encode(&[byte, b'a', byte])), Some(vec![byte, b'a', byte]));
        }
        assert_eq!(decode(&[]), Some(vec![]));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        // The end as a character, a byte of padding too many, padding that is none.
        for bad in [&[0xff, 0xff, 0xff, 0xff][..], &[0x1f, 0xff], &[0x18]] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
