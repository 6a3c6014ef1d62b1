//! What a change does to the statements of two versions of the code.

/// Which statements of the old code fail on the new schema, and which of the new code on the old schema.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Reasons why the old code breaks on the new schema.
    pub old: Vec<String>,
    /// Reasons why the new code breaks on the old schema.
    pub new: Vec<String>,
    /// Releases that get there, if it breaks both ways.
    pub ways_out: Vec<String>,
    /// Whether what was there before is not known, so that the safer answer was taken.
    pub guessed: bool,
}

impl Effects {
    pub fn breaks_old(&mut self, reason: impl Into<String>) {
        push(&mut self.old, reason.into());
    }

    pub fn breaks_new(&mut self, reason: impl Into<String>) {
        push(&mut self.new, reason.into());
    }

    pub fn way_out(&mut self, way: impl Into<String>) {
        push(&mut self.ways_out, way.into());
    }

    pub fn add(&mut self, other: Self) {
        other.old.into_iter().for_each(|reason| push(&mut self.old, reason));
        other.new.into_iter().for_each(|reason| push(&mut self.new, reason));
        other.ways_out.into_iter().for_each(|way| push(&mut self.ways_out, way));
        self.guessed |= other.guessed;
    }
}

fn push(all: &mut Vec<String>, one: String) {
    if !all.contains(&one) {
        all.push(one);
    }
}
