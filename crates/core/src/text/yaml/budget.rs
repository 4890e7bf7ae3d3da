//! How much of a text is read. Whoever wrote it may mean us harm: 430 bytes of aliases are a gigabyte of values, and
//! 50,000 nested lists are more stack than there is.

use std::fmt;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Upper bounds for one document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Bytes of the text.
    pub bytes: usize,
    /// Bytes of one line.
    pub line: usize,
    /// Collections within each other. Everything that walks a tree may recurse, because of this.
    pub depth: usize,
    /// Scalars and collections, each copy made for an alias included.
    pub nodes: usize,
    /// Scalars and collections that were copied for anchors and aliases.
    pub copied_nodes: usize,
    /// Bytes of text that were copied for anchors and aliases.
    pub copied_bytes: usize,
}

impl Budget {
    /// For the files of a site, which the operator wrote: ten thousand hosts fit in.
    pub const SITE: Self =
        Self { bytes: 16 * MIB, line: MIB, depth: 128, nodes: 1_000_000, copied_nodes: 100_000, copied_bytes: 8 * MIB };

    /// For files of a target, and of the user's other tools.
    pub const FILE: Self =
        Self { bytes: MIB, line: 256 * KIB, depth: 64, nodes: 50_000, copied_nodes: 1_000, copied_bytes: 256 * KIB };

    /// What can be said before a text is parsed; the line at which it goes beyond.
    pub fn check_text(&self, text: &str) -> Result<(), (Limit, usize)> {
        if text.len() > self.bytes {
            return Err((Limit::Bytes(self.bytes), 1));
        }
        match text.split('\n').position(|line| line.len() > self.line) {
            Some(before) => Err((Limit::Line(self.line), before + 1)),
            None => Ok(()),
        }
    }
}

/// What of a document was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Spent {
    pub nodes: usize,
    pub copied_nodes: usize,
    pub copied_bytes: usize,
    /// The deepest.
    pub depth: usize,
}

impl Spent {
    /// One more scalar or collection.
    pub fn node(&mut self, budget: &Budget) -> Result<(), Limit> {
        self.nodes += 1;
        if self.nodes > budget.nodes { Err(Limit::Nodes(budget.nodes)) } else { Ok(()) }
    }

    /// A collection within this many others.
    pub fn nested(&mut self, others: usize, budget: &Budget) -> Result<(), Limit> {
        self.depth = self.depth.max(others + 1);
        if self.depth > budget.depth { Err(Limit::Depth(budget.depth)) } else { Ok(()) }
    }

    /// A copy of something of this size. To be asked before the copy is made.
    pub fn copy(&mut self, size: Size, budget: &Budget) -> Result<(), Limit> {
        self.nodes += size.nodes;
        self.copied_nodes += size.nodes;
        self.copied_bytes += size.bytes;
        if self.copied_nodes > budget.copied_nodes {
            Err(Limit::CopiedNodes(budget.copied_nodes))
        } else if self.copied_bytes > budget.copied_bytes {
            Err(Limit::CopiedBytes(budget.copied_bytes))
        } else if self.nodes > budget.nodes {
            Err(Limit::Nodes(budget.nodes))
        } else {
            Ok(())
        }
    }
}

/// How large a value is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub nodes: usize,
    pub bytes: usize,
    /// Collections within each other: what an alias adds where it stands.
    pub depth: usize,
}

/// The bound that a document goes beyond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Limit {
    Bytes(usize),
    Line(usize),
    Depth(usize),
    Nodes(usize),
    CopiedNodes(usize),
    CopiedBytes(usize),
}

/// Bytes as people write them.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= MIB => write!(f, "{} MiB", bytes / MIB),
            bytes if bytes >= KIB => write!(f, "{} KiB", bytes / KIB),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(most) => write!(f, "file too large, at most {} are read", Bytes(*most)),
            Self::Line(most) => write!(f, "line too long, at most {} are read", Bytes(*most)),
            Self::Depth(most) => write!(f, "nested too deeply, at most {most} levels are read"),
            Self::Nodes(most) => write!(f, "too many values, at most {most} are read"),
            Self::CopiedNodes(most) => write!(f, "aliases expand to too many values, at most {most} are copied"),
            Self::CopiedBytes(most) => {
                write!(f, "aliases expand to too much text, at most {} are copied", Bytes(*most))
            }
        }
    }
}
