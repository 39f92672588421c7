//! Ids in one buffer, where each by itself would be an allocation.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Ids of messages, in order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IdList {
    text: String,
    /// Where each id ends.
    ends: Vec<usize>,
}

impl IdList {
    /// An empty list with room for so many ids, of so many bytes altogether.
    pub fn with_capacity(ids: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(ids),
        }
    }

    pub fn push(&mut self, id: &str) {
        self.text.push_str(id);
        self.ends.push(self.text.len());
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all ids.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let id = self.text.get(start..end).unwrap_or_default();
            start = end;
            id
        })
    }
}

impl<S: AsRef<str>> FromIterator<S> for IdList {
    fn from_iter<I: IntoIterator<Item = S>>(ids: I) -> Self {
        let mut list = Self::default();
        list.extend(ids);
        list
    }
}

impl<S: AsRef<str>> Extend<S> for IdList {
    fn extend<I: IntoIterator<Item = S>>(&mut self, ids: I) {
        let ids = ids.into_iter();
        self.ends.reserve(ids.size_hint().0);
        ids.for_each(|id| self.push(id.as_ref()));
    }
}

impl fmt::Debug for IdList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_as_they_were_pushed() {
        let ids = ["a", "", "\u{e9}t\u{e9}", "b/c"];
        let mut list: IdList = ids.iter().collect();
        assert!(list.iter().eq(ids));
        assert_eq!((list.len(), list.bytes()), (4, 9));
        list.push("d");
        assert_eq!(list.iter().last(), Some("d"));
        assert!(IdList::default().is_empty());
    }
}
