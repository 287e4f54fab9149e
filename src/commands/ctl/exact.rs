//! Objects whose whole numbers are written as they were read, how long they may be, as Python's are.

use std::collections::HashMap;

use serde::ser::{Error as _, SerializeMap as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What the values of an object are in the words that they were read from.
pub(super) type Raws = HashMap<String, Box<RawValue>>;

/// An object, of which some values have been read.
pub(super) struct Merged<'a> {
    pub(super) keys: &'a Map<String, Value>,
    pub(super) raws: Raws,
}

impl Serialize for Merged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.keys.len()))?;
        for (key, value) in self.keys {
            match self.raws.get(key) {
                Some(raw) => map.serialize_entry(key, &Exact { value, raw })?,
                None => map.serialize_entry(key, value)?,
            }
        }
        map.end()
    }
}

struct Exact<'a> {
    value: &'a Value,
    raw: &'a RawValue,
}

impl Serialize for Exact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = self.raw.get();
        match self.value {
            Value::Object(keys) => {
                let raws = serde_json::from_str(words).map_err(S::Error::custom)?;
                Merged { keys, raws }.serialize(serializer)
            }
            Value::Array(items) => {
                let raws: Vec<&RawValue> = serde_json::from_str(words).map_err(S::Error::custom)?;
                serializer.collect_seq(items.iter().zip(raws).map(|(value, raw)| Exact { value, raw }))
            }
            // Nearest to what was written, and not it.
            Value::Number(number) if number.is_f64() && !words.contains(['.', 'e', 'E']) => {
                self.raw.serialize(serializer)
            }
            value => value.serialize(serializer),
        }
    }
}
