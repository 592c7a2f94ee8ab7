//! One input of a job file.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An input: a path or URL as text, or its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputEntry {
    /// A file, a folder, or https://…#sha256=HEX.
    Text(String),
    /// With a name or a hash of its own.
    Parts(InputParts),
}

/// Exactly one of `path`, `folder` and `url`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InputParts {
    /// File on this machine.
    pub path: Option<String>,
    /// Folder on this machine; becomes one archive NAME.tar, the same bytes each time.
    pub folder: Option<String>,
    /// Where to fetch it; needs sha256.
    pub url: Option<String>,
    /// Name that the app sees. Default: the file's name, the folder's with .tar, or the end of the URL's path.
    pub name: Option<String>,
    /// SHA-256 of the file as 64 hex digits; checked before anything is bought.
    pub sha256: Option<String>,
}

impl JsonSchema for InputEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Input".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let parts = generator.subschema_for::<InputParts>();
        schemars::json_schema!({
            "description": "A file, a folder or https://…#sha256=HEX; or an object with exactly one of path, folder and url.",
            "oneOf": [{ "type": "string" }, parts],
        })
    }
}

impl<'de> Deserialize<'de> for InputEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = InputEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path or URL, or an object with path, folder or url")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<InputEntry, E> {
        Ok(InputEntry::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<InputEntry, A::Error> {
        let parts = InputParts::deserialize(MapAccessDeserializer::new(map))?;
        let sources = [&parts.path, &parts.folder, &parts.url].into_iter().flatten().count();
        if sources != 1 {
            return Err(A::Error::custom(format!(
                "an input has {sources} of path, folder and url, expected exactly 1"
            )));
        }
        if parts.url.as_ref().is_some_and(|url| parts.sha256.is_none() && !url.contains("#sha256=")) {
            return Err(A::Error::custom("an input with a url needs sha256, the hash of what is there"));
        }
        Ok(InputEntry::Parts(parts))
    }
}

impl Serialize for InputEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = match self {
            Self::Text(text) => return serializer.serialize_str(text),
            Self::Parts(parts) => parts,
        };
        let pairs = [
            ("path", &parts.path),
            ("folder", &parts.folder),
            ("url", &parts.url),
            ("name", &parts.name),
            ("sha256", &parts.sha256),
        ];
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in pairs {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}
