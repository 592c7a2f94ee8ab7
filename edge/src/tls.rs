//! The one TLS provider of the process.
//!
//! reqwest and tokio-tungstenite are built without one of their own, so that ring is the only one in the binary.

/// Installs ring unless the process has a provider already. Cheap to call often.
pub fn install() {
    // An error means that somebody installed one before us, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
