//! What is known of a server without asking it: how it was registered.

use crate::names::ServerId;
use serde_json::{Map, Value};

/// A server as its registration describes it. Credentials are not in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The id as it was given, echoed and taken in paths.
    pub external_id: String,
    pub name: String,
    pub description: Option<String>,
    /// Where it is reached; of several addresses the first.
    pub url: String,
    /// Another id for it, with the same powers.
    pub alias: Option<ServerId>,
    /// Tools and resources that the registration declares: what a server offers beyond them is not
    /// shown, and before it has answered they are all that is known. Empty: whatever it offers.
    pub tools: Vec<String>,
    pub resources: Vec<String>,
    pub auth_type: AuthType,
    pub access_groups: Vec<String>,
    /// What else the registration said, without secrets.
    pub metadata: Map<String, Value>,
    pub origin: Origin,
    /// The set that it belongs to; nobody else sees it.
    pub set: Option<String>,
    /// Whether whoever has no key may see it in the registry.
    pub public: bool,
    /// Tools that the registration describes, each the text of an object.
    pub definitions: Vec<String>,
    /// Seconds since 1970; 0 where nobody wrote it down.
    pub registered: u64,
    pub updated: u64,
}

impl Profile {
    /// Whether it says anything of what the server offers.
    pub fn declares(&self) -> bool {
        !(self.tools.is_empty() && self.resources.is_empty() && self.definitions.is_empty())
    }
}

/// Who registered a server, and so who may change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file; read-only for everybody else.
    #[default]
    File,
    /// An API; kept in the store.
    Store,
}

impl Origin {
    pub fn name(self) -> &'static str {
        match self {
            Origin::File => "file",
            Origin::Store => "api",
        }
    }
}

/// Which kind of credential the gateway shows to a server, never the credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthType {
    #[default]
    None,
    Bearer,
    ApiKey,
    Basic,
    /// Headers by name.
    Header,
}
