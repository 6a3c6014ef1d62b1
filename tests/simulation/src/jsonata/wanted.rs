//! What an expression names, so that no more than that is handed to the evaluator.

use std::collections::BTreeMap;

/// The members of a value that an expression can reach, or all of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    All,
    Members(BTreeMap<String, Wanted>),
}

impl Wanted {
    /// What `expression` can reach of its variables: from each `$name` as far as plain member names follow.
    pub fn by(expression: &str) -> Self {
        let mut wanted = Self::Members(BTreeMap::new());
        for (at, _) in expression.match_indices('$') {
            wanted.add(&names(&expression[at + 1..]).0);
        }
        wanted
    }

    /// What is wanted of a member, if anything is.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::All => Some(&Self::All),
            Self::Members(members) => members.get(name),
        }
    }

    /// The members that are named.
    pub fn members(&self) -> impl Iterator<Item = (&String, &Self)> {
        match self {
            Self::All => None,
            Self::Members(members) => Some(members),
        }
        .into_iter()
        .flatten()
    }

    fn add(&mut self, path: &[String]) {
        let Self::Members(members) = self else { return };
        let Some((first, rest)) = path.split_first() else {
            *self = Self::All;
            return;
        };
        members.entry(first.clone()).or_insert_with(|| Self::Members(BTreeMap::new())).add(rest);
    }
}

/// The path that `expression` is, if it is a variable and members alone.
pub fn path(expression: &str) -> Option<Vec<String>> {
    let (names, rest) = names(expression.strip_prefix('$')?);
    (rest.is_empty() && names.iter().all(|name| !name.is_empty())).then_some(names)
}

/// The names with points between them at the start of `text`, and what follows.
fn names(text: &str) -> (Vec<String>, &str) {
    let (mut found, mut rest) = (Vec::new(), text);
    loop {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let (name, after) = rest.split_at(rest.find(|next| !letter(next)).unwrap_or(rest.len()));
        found.push(name.to_owned());
        rest = after;
        // A name follows the point; anything else, such as a function, gets the value so far.
        match after.strip_prefix('.') {
            Some(next) if next.starts_with(|first: char| first.is_ascii_alphabetic()) => rest = next,
            _ => return (found, rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_wanted_than_is_named() {
        let members = |list: &[(&str, Wanted)]| -> BTreeMap<String, Wanted> {
            list.iter()
                .map(|(name, wanted)| {
                    let wanted = match wanted {
                        Wanted::All => Wanted::All,
                        Wanted::Members(members) => {
                            Wanted::Members(members.keys().map(|key| (key.clone(), Wanted::All)).collect())
                        }
                    };
                    ((*name).to_owned(), wanted)
                })
                .collect()
        };
        let of = |names: &[&str]| {
            Wanted::Members(names.iter().map(|name| ((*name).to_owned(), Wanted::All)).collect())
        };
        assert_eq!(
            Wanted::by("$look.step = 'Wait' and $goal = 'a.b' or $look.seconds > 1"),
            Wanted::Members(members(&[("goal", Wanted::All), ("look", of(&["step", "seconds"]))]))
        );
        assert_eq!(Wanted::by("$look.step & $string($look)").member("look"), Some(&Wanted::All));
        assert_eq!(Wanted::by("$look.*").member("look"), Some(&Wanted::All));
        assert_eq!(Wanted::by("$look.(step)").member("look"), Some(&Wanted::All));
        assert_eq!(Wanted::by("$look[0].step").member("look"), Some(&Wanted::All));
    }

    #[test]
    fn a_path_is_nothing_but_names() {
        let named = |text: &str| path(text).map(|names| names.join(" "));
        assert_eq!(named("$states.result.Payload").as_deref(), Some("states result Payload"));
        for other in ["$look.step = 1", "$string($look)", "$look.", "look", "$look[0]", "$$", "'$look'"] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
