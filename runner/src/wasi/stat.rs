//! What an app is told of a file or folder. Times are zero, and of links there is one.

use crate::vfs::Node;

pub(super) const TYPE_UNKNOWN: u8 = 0;
pub(super) const TYPE_FOLDER: u8 = 3;
pub(super) const TYPE_FILE: u8 = 4;

pub(super) fn filestat(node: &Node) -> [u8; 64] {
    let mut out = [0; 64];
    out[8..16].copy_from_slice(&node.id().to_le_bytes());
    out[16] = filetype(node);
    out[24..32].copy_from_slice(&1_u64.to_le_bytes());
    out[32..40].copy_from_slice(&node.size().to_le_bytes());
    out
}

pub(super) const fn filetype(node: &Node) -> u8 {
    if matches!(node, Node::Folder(_)) { TYPE_FOLDER } else { TYPE_FILE }
}
