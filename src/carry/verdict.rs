//! What the call of somebody who does not speak MCP comes to: how the conversation ended, and what was heard
//! in it.

use super::{Ending, Stop};
use crate::clock;
use crate::failure::{Failure, Reason};
use crate::reply::Trouble;
use tollbridge_filters::catalog::Snapshot;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::{Calling, Carry};
use tollbridge_filters::surface::{Reply, called};

/// Why a call has no result.
pub enum No {
    Rejected(Rejection),
    Failed(Failure),
    Gone,
}

impl No {
    pub fn trouble(&self) -> Trouble<'_> {
        match self {
            No::Rejected(rejection) => Trouble::Rejected(rejection),
            No::Failed(failure) => Trouble::Failed(failure),
            No::Gone => Trouble::Rejected(&Rejection::Overloaded),
        }
    }
}

pub fn said(
    done: Result<(), Stop>,
    ending: Ending,
    carry: &Carry,
    calling: &Calling,
    snapshot: &Snapshot,
) -> Result<Reply, No> {
    let server = carry.servers.first();
    let bad_reply = |why: &str| match server {
        Some(server) => No::Failed(Failure::answered(server, Reason::BadReply(why.to_owned()))),
        None => No::Rejected(Rejection::NotFound),
    };
    match (done, ending) {
        (_, Ending::TooLarge) => Err(bad_reply("its answer is larger than limits.response_bytes")),
        (Ok(()), Ending::Told(told)) => {
            let server = server.and_then(|id| snapshot.server(id)).ok_or(No::Rejected(Rejection::NotFound))?;
            called(&told, server, calling, clock::millis()).map_err(No::Rejected)
        }
        (Ok(()), Ending::Nothing) => Err(bad_reply("its answer holds no result")),
        (Err(Stop::Rejected(rejection)), _) => Err(No::Rejected(rejection)),
        (Err(Stop::Failed(failure) | Stop::Broken(failure)), _) => Err(No::Failed(failure)),
        (Err(Stop::Gone), _) => Err(No::Gone),
    }
}
