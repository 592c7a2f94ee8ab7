//! What a caller should do about an error: the class is in the type, nobody matches on text.

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The same call may work later: a node or an oracle did not answer.
    Retry,
    /// The world moved on: read the chain again and decide anew.
    Resync,
    /// Asking again changes nothing: the input, the money or the data is wrong.
    Stop,
}

/// Errors that know their class.
pub trait Classified {
    /// The class of this error.
    fn class(&self) -> ErrorClass;
}
