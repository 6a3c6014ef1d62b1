//! What ALTER TABLE makes of a table.

use std::collections::{BTreeMap, BTreeSet};

use super::charset;
use super::effects::Effects;
use super::statement::{Change, Clause, Named, Part, add, set_characters};
use super::table::{Column, Default, Key, KeyKind, Partitions, Table, same};

/// A table before and after an ALTER, and which clauses touched what.
#[derive(Debug)]
pub struct Altered {
    pub before: Table,
    pub after: Table,
    pub touched: Vec<Touched>,
    pub renamed: Option<String>,
    clause: usize,
    /// Where what has a name (in lower case) stands among the touched.
    places: BTreeMap<(Named, String), usize>,
}

/// Something that clauses changed.
#[derive(Debug)]
pub struct Touched {
    pub kind: Named,
    pub name: String,
    pub clauses: BTreeSet<usize>,
    /// What is known without a comparison.
    pub effects: Effects,
}

impl Altered {
    pub fn new(before: &Table, clauses: Vec<Clause>) -> Self {
        let mut before = before.clone();
        for column in &mut before.columns {
            column.origin = Some(column.name.clone());
        }
        let mut altered = Self {
            after: before.clone(),
            before,
            touched: Vec::new(),
            renamed: None,
            clause: 0,
            places: BTreeMap::new(),
        };
        for (index, clause) in clauses.into_iter().enumerate() {
            altered.clause = index;
            altered.apply(clause.change);
        }
        altered.after.settle_primary_key();
        altered.primary_key_columns();
        altered
    }

    fn touch(&mut self, kind: Named, name: &str) -> &mut Effects {
        let clause = self.clause;
        let index = *self.places.entry((kind, name.to_lowercase())).or_insert_with(|| {
            self.touched.push(Touched {
                kind,
                name: name.to_owned(),
                clauses: BTreeSet::new(),
                effects: Effects::default(),
            });
            self.touched.len() - 1
        });
        self.touched[index].clauses.insert(clause);
        &mut self.touched[index].effects
    }

    fn table(&mut self) -> &mut Effects {
        self.touch(Named::Table, "")
    }

    /// The column of this name, which is made up if nothing is known of it.
    fn column(&mut self, name: &str) -> Option<&mut Column> {
        if self.after.column(name).is_none() && self.before.column(name).is_none() {
            let unknown = Column { name: name.to_owned(), origin: Some(name.to_owned()), definition: None };
            self.before.columns.push(unknown.clone());
            self.after.columns.push(unknown);
        }
        self.touch(Named::Column, name);
        // Every clause names the columns as they were before the statement.
        let was = |column: &Column| column.origin.as_deref().is_some_and(|origin| same(origin, name));
        let added = |column: &Column| column.origin.is_none() && same(&column.name, name);
        let columns = &self.after.columns;
        let at = columns.iter().position(was).or_else(|| columns.iter().position(added))?;
        self.after.columns.get_mut(at)
    }

    fn key(&mut self, name: &str) -> Option<&mut Key> {
        if self.after.key(name).is_none() && self.before.key(name).is_none() {
            let kind = if name == "PRIMARY" { KeyKind::Primary } else { KeyKind::Unknown };
            let unknown = Key { kind, name: name.to_owned(), parts: Vec::new(), invisible: false };
            self.before.keys.push(unknown.clone());
            self.after.keys.push(unknown);
        }
        self.touch(Named::Key, name);
        self.after.keys.iter_mut().find(|key| same(&key.name, name))
    }

    fn add(&mut self, part: Part) {
        for (kind, name) in add(&mut self.after, part) {
            self.touch(kind, &name);
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Add(parts) => parts.into_iter().for_each(|part| self.add(part)),
            Change::DropColumn(name) => {
                self.column(&name);
                let was =
                    |column: &Column| column.origin.as_deref().is_some_and(|origin| same(origin, &name));
                self.after.columns.retain(|column| !was(column));
                self.forget_in_keys(&name);
            }
            Change::ReplaceColumn { old, new } => self.replace_column(&old, *new),
            Change::RenameColumn { old, new } => {
                if let Some(column) = self.column(&old) {
                    column.name.clone_from(&new);
                }
                self.rename_in_keys(&old, &new);
                self.touch(Named::Column, &new);
            }
            Change::SetDefault { column, default } => {
                if let Some(Column { definition: Some(definition), .. }) = self.column(&column) {
                    definition.default = default;
                } else {
                    let effects = self.touch(Named::Column, &column);
                    if default == Default::Dropped {
                        effects.breaks_old(format!(
                            "an INSERT that leaves out `{column}` may fail, as its default is gone"
                        ));
                    }
                    effects.guessed = true;
                }
            }
            Change::ShowColumn { column, invisible } => {
                if let Some(Column { definition: Some(definition), .. }) = self.column(&column) {
                    definition.invisible = invisible;
                } else {
                    let effects = self.touch(Named::Column, &column);
                    if invisible {
                        effects.breaks_old(format!("SELECT * does not find `{column}`"));
                    }
                    effects.guessed = true;
                }
            }
            Change::DropKey(name) => {
                self.key(&name);
                self.after.keys.retain(|key| !same(&key.name, &name));
            }
            Change::RenameKey { old, new } => {
                if let Some(key) = self.key(&old) {
                    key.name.clone_from(&new);
                }
                self.touch(Named::Key, &new);
            }
            Change::ShowKey { name, invisible } => {
                let known = self.key(&name).map(|key| key.invisible = invisible).is_some()
                    && self.before.key(&name).is_some_and(|key| key.kind != KeyKind::Unknown);
                if !known {
                    let effects = self.touch(Named::Key, &name);
                    if invisible {
                        effects.breaks_old(format!("a hint such as FORCE INDEX (`{name}`) fails"));
                    }
                    effects.guessed = true;
                }
            }
            Change::DropForeignKey(name) => {
                self.touch(Named::ForeignKey, &name);
                self.after.foreign_keys.retain(|key| !same(&key.name, &name));
            }
            Change::DropCheck(name) => {
                self.touch(Named::Check, &name);
                self.after.checks.retain(|check| !same(&check.name, &name));
            }
            Change::EnforceCheck { name, enforced } => {
                self.touch(Named::Check, &name);
                match self.after.checks.iter_mut().find(|check| same(&check.name, &name)) {
                    Some(check) => check.enforced = enforced,
                    None => {
                        let effects = self.touch(Named::Check, &name);
                        effects.guessed = true;
                        if enforced {
                            effects.breaks_old(format!("a row against the check `{name}` is refused"));
                        } else {
                            effects.breaks_new(format!(
                                "a row against the check `{name}` is refused until it is gone"
                            ));
                        }
                    }
                }
            }
            Change::DropConstraint(name) => self.drop_constraint(&name),
            Change::RenameTable(new) => {
                let old = self.before.name.clone();
                let effects = self.table();
                effects.breaks_old(format!("every statement on `{old}` fails, as it is `{new}` now"));
                effects.breaks_new(format!("every statement on `{new}` fails, as it is still `{old}`"));
                effects.way_out(format!(
                    "1. release CREATE TABLE `{new}` LIKE `{old}` with code that writes both tables; 2. copy the rows that \
                     are missing, and release code that uses only `{new}` together with DROP TABLE `{old}`"
                ));
                self.renamed = Some(new);
            }
            Change::Engine(engine) => self.engine(&engine),
            Change::DefaultCharacters { charset, collation } => {
                // What columns have is theirs; only those that are added now take the new default.
                for column in &mut self.after.columns {
                    keep_characters(&self.before, column);
                }
                set_characters(&mut self.after, charset, collation);
                self.table();
            }
            Change::Convert { charset, collation } => self.convert(charset, collation),
            Change::PartitionBy(partitions) => {
                self.after.partitions = Some(partitions);
                self.partitions();
            }
            Change::RemovePartitioning => {
                if self.before.partitions.is_none() {
                    let effects = self.table();
                    effects.breaks_old("a statement that names a partition fails");
                    effects.guessed = true;
                }
                self.after.partitions = None;
                self.partitions();
            }
            Change::AddPartitions(names) => {
                self.table().breaks_new(match names.as_slice() {
                    [] => "a statement that names a new partition fails".to_owned(),
                    names => format!("what belongs into the new partition {} is refused", listed(names)),
                });
                if let Some(partitions) = &mut self.after.partitions {
                    partitions.names.extend(names);
                }
            }
            Change::DropPartitions(names) => {
                self.table().breaks_old(format!(
                    "a statement that names the partition {} fails, and rows of it may be refused",
                    listed(&names)
                ));
                if let Some(partitions) = &mut self.after.partitions {
                    partitions.names.retain(|name| !names.iter().any(|gone| same(name, gone)));
                }
            }
            Change::CoalescePartitions => {
                self.table().breaks_old("a statement that names one of the last partitions fails");
            }
            Change::ReorganizePartitions { from, into } => {
                let gone: Vec<String> =
                    from.iter().filter(|name| !into.iter().any(|kept| same(kept, name))).cloned().collect();
                let effects = self.table();
                if !gone.is_empty() {
                    effects
                        .breaks_old(format!("a statement that names the partition {} fails", listed(&gone)));
                }
                effects.breaks_new(format!(
                    "a statement that names the partition {} fails, and rows of it may be refused",
                    listed(&into)
                ));
                if let Some(partitions) = &mut self.after.partitions {
                    partitions.names.retain(|name| !gone.contains(name));
                    partitions.names.extend(into);
                }
            }
            Change::MoveRows(word) => {
                let effects = self.table();
                effects.breaks_old(format!("{word} moves or removes rows that statements read"));
                effects.breaks_new(format!("{word} moves or removes rows that statements read"));
                effects.way_out("do it by hand, outside of a release");
            }
            Change::Unnoticed => {
                self.table();
            }
        }
    }

    fn replace_column(&mut self, old: &str, new: Part) {
        let Part::Column { column: new, keys, checks, foreign_keys } = new else { return };
        let (name, definition) = (new.name, new.definition);
        if let Some(column) = self.column(old) {
            column.name.clone_from(&name);
            column.definition = definition;
        } else {
            // It was dropped before in the same statement, or renamed.
            self.touch(Named::Column, &name);
            self.after.columns.push(Column { name: name.clone(), origin: None, definition });
        }
        if !same(old, &name) {
            self.rename_in_keys(old, &name);
            self.touch(Named::Column, &name);
        }
        for part in keys
            .into_iter()
            .map(Part::Key)
            .chain(checks.into_iter().map(Part::Check))
            .chain(foreign_keys.into_iter().map(Part::ForeignKey))
        {
            self.add(part);
        }
    }

    fn forget_in_keys(&mut self, column: &str) {
        let gone = column.to_lowercase();
        let names: Vec<String> = (self.after.keys.iter())
            .filter(|key| key.parts.iter().any(|part| part.what == gone))
            .map(|key| key.name.clone())
            .collect();
        for name in names {
            self.touch(Named::Key, &name);
        }
        for key in &mut self.after.keys {
            key.parts.retain(|part| part.what != gone);
        }
        self.after.keys.retain(|key| !key.parts.is_empty() || key.kind == KeyKind::Unknown);
    }

    fn rename_in_keys(&mut self, old: &str, new: &str) {
        let (old, new) = (old.to_lowercase(), new.to_lowercase());
        for part in self.after.keys.iter_mut().flat_map(|key| &mut key.parts) {
            if part.what == old {
                part.what.clone_from(&new);
            }
        }
        for column in self.after.foreign_keys.iter_mut().flat_map(|key| &mut key.columns) {
            if *column == old {
                column.clone_from(&new);
            }
        }
    }

    fn drop_constraint(&mut self, name: &str) {
        if self.before.foreign_keys.iter().any(|key| same(&key.name, name)) {
            self.apply(Change::DropForeignKey(name.to_owned()));
        } else if self.before.checks.iter().any(|check| same(&check.name, name)) {
            self.apply(Change::DropCheck(name.to_owned()));
        } else if self.before.key(name).is_some() || name.eq_ignore_ascii_case("PRIMARY") {
            self.apply(Change::DropKey(name.to_owned()));
        } else {
            let effects = self.table();
            effects.breaks_old(format!("a hint such as FORCE INDEX (`{name}`) fails, if it is a key"));
            effects.breaks_new(format!("what `{name}` refuses is refused until it is gone"));
            effects.way_out(format!(
                "drop `{name}` with DROP KEY, DROP FOREIGN KEY or DROP CHECK, which say what it is"
            ));
            effects.guessed = true;
        }
    }

    fn engine(&mut self, engine: &str) {
        let before = self.before.engine.clone().unwrap_or_else(|| "InnoDB".into());
        self.after.engine = Some(engine.to_owned());
        let (was, is) = (same(&before, "InnoDB"), same(engine, "InnoDB"));
        let effects = self.table();
        if same(&before, engine) {
            return;
        }
        if !is {
            effects.breaks_old(format!("what {engine} cannot do fails, such as a ROLLBACK or a foreign key"));
        }
        if !was {
            effects.breaks_new(format!("what {before} cannot do fails until the table is in {engine}"));
        }
    }

    fn convert(&mut self, charset: Option<String>, collation: Option<String>) {
        let to =
            charset.clone().or_else(|| collation.as_deref().map(charset::of_collation)).unwrap_or_default();
        if !self.before.known {
            let effects = self.table();
            effects.breaks_old(format!(
                "text that is not in {to} may be refused, and comparisons may find other rows"
            ));
            effects.guessed = true;
        }
        let names: Vec<String> = self.after.columns.iter().map(|column| column.name.clone()).collect();
        for column in &mut self.after.columns {
            let from = column.definition.as_ref().and_then(|definition| self.before.characters(definition).0);
            if let (Some(definition), Some(from)) = (&mut column.definition, from)
                && definition.data_type.has_characters()
            {
                definition.data_type.converted(&from, &to);
                definition.charset.clone_from(&charset);
                definition.collation.clone_from(&collation);
            }
        }
        set_characters(&mut self.after, charset, collation);
        self.table();
        for name in names {
            self.touch(Named::Column, &name);
        }
    }

    fn partitions(&mut self) {
        let (before, after) = (self.before.partitions.clone(), self.after.partitions.clone());
        let takes_everything =
            |partitions: &Option<Partitions>| partitions.as_ref().is_none_or(|p| p.takes_everything);
        let names =
            |partitions: &Option<Partitions>| partitions.as_ref().map_or_else(Vec::new, |p| p.names.clone());
        let effects = self.table();
        if before.as_ref().map(|p| &p.written) == after.as_ref().map(|p| &p.written) {
            return;
        }
        let kept = names(&after);
        let named_are_kept = match &before {
            None => true,
            // Partitions without written names are p0, p1 and so on.
            Some(before) => {
                !before.names.is_empty()
                    && before.names.iter().all(|name| kept.iter().any(|kept| same(kept, name)))
            }
        };
        if !named_are_kept {
            effects.breaks_old("a statement that names a partition fails");
        }
        if !takes_everything(&after) {
            effects.breaks_old("a row without a partition is refused");
        }
        if !takes_everything(&before) {
            effects.breaks_new("a row without a partition is refused until the partitions are others");
        }
    }

    /// A key that is primary now makes its columns NOT NULL.
    fn primary_key_columns(&mut self) {
        let Some(key) = self.after.keys.iter().find(|key| key.kind == KeyKind::Primary).cloned() else {
            return;
        };
        let Some(at) =
            self.touched.iter().position(|touched| touched.kind == Named::Key && touched.name == "PRIMARY")
        else {
            return;
        };
        for clause in self.touched[at].clauses.clone() {
            self.clause = clause;
            for part in &key.parts {
                let is_known =
                    self.before.column(&part.what).is_some() && self.after.column(&part.what).is_some();
                if is_known {
                    self.touch(Named::Column, &part.what);
                }
            }
        }
    }
}

fn keep_characters(table: &Table, column: &mut Column) {
    let Some(definition) = &mut column.definition else { return };
    if definition.data_type.has_characters() && column.origin.is_some() {
        (definition.charset, definition.collation) = table.characters(definition);
    }
}

pub fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
