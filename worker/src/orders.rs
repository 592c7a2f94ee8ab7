//! Signed offers that an operator lets its worker take: `sunwork-worker take ORDER.json` hands the file to the running worker, which
//! looks at it as closely as at any purchase, and then buys for the client and accepts in one transaction (`acceptOffer`).
//!
//! ```text
//! take ──put──▶ orders/<hash>.json ──worker──▶ <hash>.taking ──acceptOffer──▶ <hash>.answer ──▶ take prints it
//!                                  └─refused────────────────────────────────▶
//! ```
//! The worker sends, because it alone knows the nonces of its device's key; what it has taken it finds on chain like any other
//! purchase. A file that is `.taking` when a worker starts is never taken again by itself: it may have been bought already.
mod inbox;
mod refusal;
mod serve;

pub use inbox::{Answer, Inbox, InboxError, read_order};
pub use refusal::{OrderFacts, OrderRefusal, check};
pub use serve::serve;
