//! The mailbox: sealed messages between the parties of an agreement. The oracle carries them and can read nothing.
//!
//! Who may write is what the index says: the client and its key agent, workers and drawn verifiers, present and former, and
//! their devices. One message is kept for each agreement, recipient, topic and sender, the newest; a party that writes
//! more than its share is refused and takes nothing from the others.
pub mod http;
mod limits;
mod mailbox;
mod parties;

pub use limits::MailLimits;
pub use mailbox::{Clock, Mailbox, MailboxError, system_clock};
pub use parties::{Parties, Party, Role};
