//! The two eras of MCP: modern (2026-07-28, stateless) and legacy (`initialize` and sessions).

/// The one modern revision.
pub const MODERN: &str = "2026-07-28";

/// The legacy revisions over Streamable HTTP, newest first.
pub const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    Legacy,
    Modern,
}

impl Era {
    pub fn name(self) -> &'static str {
        match self {
            Era::Legacy => "legacy",
            Era::Modern => "modern",
        }
    }

    /// The revisions of this era that we speak, for `-32022` and for `server/discover`.
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Era::Legacy => &LEGACY,
            Era::Modern => &[MODERN],
        }
    }
}

/// The eras in which a server can be reached; a dual-era server speaks both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eras {
    #[default]
    Both,
    Only(Era),
}

impl Eras {
    pub fn speak(self, era: Era) -> bool {
        match self {
            Eras::Both => true,
            Eras::Only(own) => own == era,
        }
    }
}

/// The revision that `initialize` settles on: the client's, if we speak it, else our newest
/// (MCP 2025-11-25, Lifecycle, Version Negotiation). Never the modern one.
pub fn negotiate(requested: &str) -> &'static str {
    LEGACY.into_iter().find(|version| *version == requested).unwrap_or(LEGACY[0])
}
