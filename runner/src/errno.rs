//! Error numbers of WASI preview 1.

/// A number that a WASI call gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub u16);

#[allow(missing_docs, reason = "the names are those of the standard")]
impl Errno {
    pub const BADF: Self = Self(8);
    pub const EXIST: Self = Self(20);
    pub const FAULT: Self = Self(21);
    pub const FBIG: Self = Self(22);
    pub const ILSEQ: Self = Self(25);
    pub const INVAL: Self = Self(28);
    pub const ISDIR: Self = Self(31);
    pub const MFILE: Self = Self(33);
    pub const NAMETOOLONG: Self = Self(37);
    pub const NOENT: Self = Self(44);
    pub const NOSPC: Self = Self(51);
    pub const NOTDIR: Self = Self(54);
    pub const NOTEMPTY: Self = Self(55);
    pub const NOTSOCK: Self = Self(57);
    pub const NOTSUP: Self = Self(58);
    pub const ROFS: Self = Self(69);
    pub const SPIPE: Self = Self(70);
    pub const NOTCAPABLE: Self = Self(76);
}
