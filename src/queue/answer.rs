//! What a job comes to, in the words of oliverye's surface.

use super::redis::Taken;
use crate::clock;
use crate::reply::{self, Trouble};
use serde_json::json;
use tollbridge_filters::json;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::surface::oliverye::{JobId, Misfit};

pub struct Answer {
    pub status: Status,
    /// JSON.
    pub result: String,
    /// For metrics and the access log.
    pub label: &'static str,
    /// Why the message is put aside.
    why_poison: Option<String>,
    millis: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Completed,
    Error,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Completed => "completed",
            Status::Error => "error",
        }
    }
}

impl Answer {
    /// Out of the envelope that a caller over HTTP would get.
    pub fn told(envelope: &str) -> Answer {
        let place = json::find(envelope, ["result"]).ok().flatten();
        let result = place.and_then(|place| envelope.get(place)).unwrap_or("null");
        Answer::new(Status::Completed, result.to_owned(), "ok")
    }

    pub fn no(trouble: Trouble<'_>) -> Answer {
        let (result, label) = reply::of_job(trouble);
        Answer::new(Status::Error, result.to_string(), label)
    }

    pub fn rejected(rejection: &Rejection) -> Answer {
        Answer::no(Trouble::Rejected(rejection))
    }

    /// To a message that is no job, or one that nobody should try again.
    pub fn poisoned(reason: &Rejection) -> Answer {
        Answer { why_poison: Some(reason.to_string()), label: "poison", ..Answer::rejected(reason) }
    }

    pub fn misfit(misfit: &Misfit) -> Answer {
        Answer::poisoned(&misfit.reason)
    }

    fn new(status: Status, result: String, label: &'static str) -> Answer {
        Answer { status, result, label, why_poison: None, millis: clock::millis() }
    }

    pub fn is_poison(&self) -> bool {
        self.why_poison.is_some()
    }

    /// Seconds since 1970.
    pub fn timestamp(&self) -> f64 {
        self.millis as f64 / 1e3
    }

    /// What is pushed to whoever waits at a list.
    pub fn envelope(&self, id: &JobId) -> String {
        let (id, status, timestamp, result) = (&id.raw, self.status.name(), self.timestamp(), &self.result);
        format!(r#"{{"request_id":{id},"status":"{status}","timestamp":{timestamp},"result":{result}}}"#)
    }

    /// What is put aside, if anything is.
    pub fn poison(&self, taken: &Taken) -> Option<String> {
        let reason = self.why_poison.as_ref()?;
        let message = String::from_utf8_lossy(&taken.message);
        Some(json!({"message": message, "list": taken.list, "reason": reason, "at": self.timestamp()}).to_string())
    }
}
