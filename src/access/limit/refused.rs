//! What limits refused since the process began, by the kind of limit.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::access::limit::{Limit, Scope, Window};

/// Windows, and the one place for limits without: those of what runs at once.
const WINDOWS: usize = Window::ALL.len() + 1;

/// How often each kind of limit refused a call.
#[derive(Default)]
pub struct Refused {
    exceeded: [[AtomicU64; WINDOWS]; Scope::ALL.len()],
    uncounted: AtomicU64,
}

impl Refused {
    pub(super) fn count(&self, limit: &Limit) {
        let scope = Scope::ALL.iter().position(|scope| *scope == limit.scope);
        let window = |window| Window::ALL.iter().position(|known| *known == window);
        let window = limit.window.and_then(window).unwrap_or(WINDOWS - 1);
        if let Some(count) = scope.and_then(|scope| self.exceeded[scope].get(window)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count_uncounted(&self) {
        self.uncounted.fetch_add(1, Ordering::Relaxed);
    }

    /// Scope, window (`none` where a limit is about the same moment), and how often.
    pub fn read(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut read = Vec::with_capacity(WINDOWS * Scope::ALL.len());
        for (scope, counts) in Scope::ALL.iter().zip(&self.exceeded) {
            let windows = Window::ALL.iter().map(|window| window.as_str());
            for (window, count) in windows.chain(["none"]).zip(counts) {
                read.push((scope.as_str(), window, count.load(Ordering::Relaxed)));
            }
        }
        read
    }

    /// Calls whose quota could not be counted.
    pub fn uncounted(&self) -> u64 {
        self.uncounted.load(Ordering::Relaxed)
    }
}
