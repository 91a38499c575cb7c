//! Limits that a head alone can break.

use crate::rejection::Rejection;
use http::request::Parts;

const TARGET_BYTES_MAX: usize = 8 * 1024;

#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    pub bytes: usize,
    pub fields: usize,
}

impl HeadLimits {
    pub fn check(&self, head: &Parts) -> Result<(), Rejection> {
        let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target > TARGET_BYTES_MAX {
            return Err(Rejection::TargetTooLong { bytes_max: TARGET_BYTES_MAX });
        }
        let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if head.headers.len() > self.fields || target + fields > self.bytes {
            return Err(Rejection::HeadTooLarge { bytes_max: self.bytes, fields_max: self.fields });
        }
        Ok(())
    }
}
