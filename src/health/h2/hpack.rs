//! HPACK (RFC 7541): fields as they are sent, and what a server makes of its own.

use std::collections::VecDeque;

use super::huffman;
use crate::health::inbox::Broken;

/// Adds a field, as it is and without a place in any table. Both are shorter than 127 bytes, or end with more bytes of
/// their length.
pub(super) fn push(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        push_integer(block, text.len());
        block.extend_from_slice(text.as_bytes());
    }
}

/// A length in the seven bits of a string without Huffman's code.
fn push_integer(block: &mut Vec<u8>, number: usize) {
    const PREFIX: usize = 0x7f;
    if number < PREFIX {
        block.push(number as u8);
        return;
    }
    block.push(PREFIX as u8);
    let mut rest = number - PREFIX;
    while rest >= 0x80 {
        block.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    block.push(rest as u8);
}

/// What the other side's fields are read with.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    most: usize,
}

/// The size of a table of which nobody has said otherwise.
const TABLE: usize = 4096;
/// What an entry counts beside its bytes.
const OVERHEAD: usize = 32;

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { table: VecDeque::new(), size: 0, most: TABLE }
    }
}

type Each<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

impl Decoder {
    /// Gives each field to `each`. Nothing is collected: a short block may name a long entry very often.
    ///
    /// # Errors
    /// When it is no block of fields.
    pub(super) fn decode(&mut self, block: &[u8], each: Each<'_>) -> Result<(), Broken> {
        self.fields(block, each).ok_or_else(|| "malformed HTTP/2: fields that cannot be read".to_string())
    }

    fn fields(&mut self, mut block: &[u8], each: Each<'_>) -> Option<()> {
        while let Some(first) = block.first() {
            match first {
                0x80.. => {
                    let index = integer(&mut block, 7)?;
                    let (name, value) = self.entry(index)?;
                    each(name, value);
                }
                0x40.. => {
                    let (name, value) = self.literal(&mut block, 6)?;
                    each(&name, &value);
                    self.remember(name, value);
                }
                0x20.. => {
                    self.most = integer(&mut block, 5).filter(|most| *most <= TABLE)?;
                    self.evict(0);
                }
                _ => {
                    let (name, value) = self.literal(&mut block, 4)?;
                    each(&name, &value);
                }
            }
        }
        Some(())
    }

    fn literal(&self, block: &mut &[u8], prefix: u32) -> Option<(Vec<u8>, Vec<u8>)> {
        let name = match integer(block, prefix)? {
            0 => string(block)?,
            index => self.entry(index)?.0.to_vec(),
        };
        Some((name, string(block)?))
    }

    fn entry(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        match STATIC.split(' ').nth(index) {
            Some(name) => Some((name.as_bytes(), status(index).unwrap_or_default().as_bytes())),
            None => {
                let (name, value) = self.table.get(index - STATIC.split(' ').count())?;
                Some((name, value))
            }
        }
    }

    fn remember(&mut self, name: Vec<u8>, value: Vec<u8>) {
        let size = name.len() + value.len() + OVERHEAD;
        self.evict(size);
        // One that is larger than the table empties it, and is not kept.
        if size <= self.most {
            self.size += size;
            self.table.push_front((name, value));
        }
    }

    /// Makes room.
    fn evict(&mut self, room: usize) {
        while self.size + room > self.most {
            let Some((name, value)) = self.table.pop_back() else { return };
            self.size -= name.len() + value.len() + OVERHEAD;
        }
    }
}

/// The names of the static table. Of its values only those of `:status` mean anything here.
const STATIC: &str = ":authority :method :method :path :path :scheme :scheme :status :status :status :status :status \
                      :status :status accept-charset accept-encoding accept-language accept-ranges accept \
                      access-control-allow-origin age allow authorization cache-control content-disposition \
                      content-encoding content-language content-length content-location content-range content-type \
                      cookie date etag expect expires from host if-match if-modified-since if-none-match if-range \
                      if-unmodified-since last-modified link location max-forwards proxy-authenticate \
                      proxy-authorization range referer refresh retry-after server set-cookie \
                      strict-transport-security transfer-encoding user-agent vary via www-authenticate";

fn status(index: usize) -> Option<&'static str> {
    let statuses = ["200", "204", "206", "304", "400", "404", "500"];
    statuses.get(index.checked_sub(7)?).copied()
}

/// A number whose first bits are the last of a byte.
fn integer(block: &mut &[u8], prefix: u32) -> Option<usize> {
    let full = (1usize << prefix) - 1;
    let first = usize::from(take(block)?) & full;
    if first < full {
        return Some(first);
    }
    let mut number = full;
    // Four bytes more are enough for what any frame can hold.
    for place in 0..4 {
        let byte = take(block)?;
        number += usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn string(block: &mut &[u8]) -> Option<Vec<u8>> {
    let is_huffman = block.first()? & 0x80 != 0;
    let length = integer(block, 7)?;
    let (bytes, rest) = block.split_at_checked(length)?;
    *block = rest;
    if is_huffman { huffman::decode(bytes) } else { Some(bytes.to_vec()) }
}

fn take(block: &mut &[u8]) -> Option<u8> {
    let (first, rest) = block.split_first()?;
    *block = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::{Decoder, push};

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    }

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decoder.fields(block, &mut |name, value| fields.push((text(name), text(value)))).map(|()| fields)
    }

    fn pairs(fields: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        Some(fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn what_is_written_is_read() {
        let long = "x".repeat(5000);
        let fields =
            [(":path", "/a"), ("te", ""), ("long", &long[..127]), ("longer", &long[..254]), ("longest", &long)];
        let mut block = Vec::new();
        fields.iter().for_each(|(name, value)| push(&mut block, name, value));
        assert_eq!(decoded(&mut Decoder::default(), &block), pairs(&fields));
    }

    // RFC 7541, C.6: with Huffman's code, in a table of 256 bytes from which entries are evicted.
    #[test]
    fn the_answers_of_the_rfcs_example_are_read() {
        let mut decoder = Decoder { most: 256, ..Decoder::default() };
        let (date, url) = ("Mon, 21 Oct 2013 20:13:21 GMT", "https://www.example.com");
        let blocks = [
            (
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad \
                 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                vec![(":status", "302"), ("cache-control", "private"), ("date", date), ("location", url)],
            ),
            (
                "4883 640e ffc1 c0bf",
                vec![(":status", "307"), ("cache-control", "private"), ("date", date), ("location", url)],
            ),
            (
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 \
                 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
                vec![
                    (":status", "200"),
                    ("cache-control", "private"),
                    ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
                    ("location", url),
                    ("content-encoding", "gzip"),
                    ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
                ],
            ),
        ];
        for (block, expected) in blocks {
            assert_eq!(decoded(&mut decoder, &hex(block)), pairs(&expected));
        }
        assert_eq!(decoder.size, 215);
    }

    #[test]
    fn what_is_no_block_of_fields_is_refused_wherever_it_is_cut() {
        let whole = hex("4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff");
        let ends: Vec<usize> = vec![0, 4, 11, whole.len()];
        for cut in 0..=whole.len() {
            let read = decoded(&mut Decoder::default(), &whole[..cut]);
            assert_eq!(read.is_some(), ends.contains(&cut), "{cut}: {read:?}");
        }
        // No entry 0, none behind the last, a table larger than it may be, a number without an end, an end of text in it.
        for bad in ["80", "be", "ff80 8080 8080 8000", "3fe2 1f", "40ff ffff ff7f", "0082 ffff 00", "0084 ffff fffc 00"]
        {
            assert_eq!(decoded(&mut Decoder::default(), &hex(bad)), None, "{bad}");
        }
    }

    #[test]
    fn an_entry_that_is_larger_than_the_table_empties_it() {
        let mut decoder = Decoder::default();
        assert!(decoded(&mut decoder, &hex("4001 6101 62")).is_some());
        assert_eq!((decoder.table.len(), decoder.size), (1, 34));
        let mut block = vec![0x40];
        block.extend(hex("0161 7f81 1f"));
        block.extend(vec![b'x'; 4096]);
        assert!(decoded(&mut decoder, &block).is_some());
        assert_eq!((decoder.table.len(), decoder.size), (0, 0));
    }
}
