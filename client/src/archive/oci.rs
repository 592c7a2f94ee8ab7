//! Images that an OCI layout's index names.

use serde::Deserialize;

use super::error::ArchiveError;
use super::index::Entries;

/// Most manifests looked at, and deepest index in an index.
const MAX_MANIFESTS: usize = 64;
const MAX_DEPTH: usize = 3;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// Names of the entries of each image's config and layers. An index may name images of which the archive has nothing (other
/// platforms that were never pulled): those are left out.
pub(super) fn images(entries: &mut Entries) -> Result<Vec<(String, Vec<String>)>, ArchiveError> {
    let mut found = Vec::new();
    let mut open = vec![("index.json".to_owned(), 0)];
    let mut seen = 0;
    while let Some((name, depth)) = open.pop() {
        seen += 1;
        if seen > MAX_MANIFESTS {
            return Err(ArchiveError::bad("index.json", format!("more than {MAX_MANIFESTS} manifests")));
        }
        let Some(json) = entries.json(&name)? else { continue };
        let document: Document = serde_json::from_slice(&json).map_err(|e| ArchiveError::bad(&name, e))?;
        if depth < MAX_DEPTH {
            // The last is looked at first: reversed, the order of the index stays.
            open.extend(document.manifests.iter().rev().map(|m| (blob(&m.digest), depth + 1)));
        }
        let Some(config) = document.config.map(|config| blob(&config.digest)) else { continue };
        let layers: Vec<String> = document.layers.iter().map(|layer| blob(&layer.digest)).collect();
        if entries.part(&config).is_some() && layers.iter().all(|layer| entries.part(layer).is_some()) {
            found.push((config, layers));
        }
    }
    Ok(found)
}

fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}
