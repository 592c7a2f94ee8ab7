//! Images made without any container engine: one static binary becomes an archive that a worker can load.

pub use sunwork_protocol::image::archive_from_binary;
