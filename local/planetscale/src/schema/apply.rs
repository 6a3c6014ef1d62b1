//! What statements do to a schema, with MySQL's errors.

use super::parse::{Change, ColumnPart, Place, Statement, TableOption, TablePart};
use super::table::{Indexed, Key, KeyKind, KeyPart, Options, Table};
use super::{Schema, SchemaError};

impl Schema {
    /// Applies one statement. On an error, parts of it may have been applied.
    pub(super) fn apply(&mut self, statement: &Statement) -> Result<(), SchemaError> {
        match statement {
            Statement::CreateTable { name, if_not_exists, parts, options } => {
                if self.may_create(name, *if_not_exists)? {
                    let table = Table::create(name, parts, options)?;
                    self.tables.insert(name.clone(), table);
                }
            }
            Statement::CreateTableLike { name, if_not_exists, like } => {
                if self.may_create(name, *if_not_exists)? {
                    let mut table = self.tables.get(like).cloned().ok_or_else(|| no_such_table(like))?;
                    table.name.clone_from(name);
                    // MySQL does not copy foreign keys.
                    table.foreign_keys.clear();
                    self.tables.insert(name.clone(), table);
                }
            }
            Statement::AlterTable { name, changes } => {
                let mut table = self.tables.remove(name).ok_or_else(|| no_such_table(name))?;
                // MySQL takes the changes together: a key may come before the column it is for.
                let mut changes: Vec<&Change> = changes.iter().collect();
                changes.sort_by_key(|change| change.rank());
                for change in changes {
                    table.change(change)?;
                }
                table.check()?;
                self.may_create(&table.name, false)?;
                self.tables.insert(table.name.clone(), table);
            }
            Statement::DropTables { names, if_exists } => {
                for name in names {
                    if self.tables.remove(name).is_none() && !if_exists {
                        return Err(SchemaError::new(1051, format!("Unknown table '{name}'")));
                    }
                }
            }
            Statement::RenameTables(renames) => {
                for (old, new) in renames {
                    let mut table = self.tables.remove(old).ok_or_else(|| no_such_table(old))?;
                    self.may_create(new, false)?;
                    table.name.clone_from(new);
                    self.tables.insert(new.clone(), table);
                }
            }
        }
        Ok(())
    }

    fn may_create(&self, name: &str, if_not_exists: bool) -> Result<bool, SchemaError> {
        match (self.tables.contains_key(name), if_not_exists) {
            (false, _) => Ok(true),
            (true, true) => Ok(false),
            (true, false) => Err(SchemaError::new(1050, format!("Table '{name}' already exists"))),
        }
    }
}

impl Change {
    /// The order in which changes are made; those of one rank as they are written.
    fn rank(&self) -> u8 {
        match self {
            Self::Add(part, _) => part.rank(),
            _ => 0,
        }
    }
}

fn no_such_table(name: &str) -> SchemaError {
    SchemaError::new(1146, format!("Table '{name}' doesn't exist"))
}

fn cannot_drop(name: &str) -> SchemaError {
    SchemaError::new(1091, format!("Can't DROP '{name}'; check that column/key exists"))
}

impl Table {
    fn create(name: &str, parts: &[TablePart], options: &[TableOption]) -> Result<Self, SchemaError> {
        let mut table = Self {
            name: name.to_owned(),
            columns: Vec::new(),
            keys: Vec::new(),
            foreign_keys: Vec::new(),
            checks: Vec::new(),
            options: Options {
                engine: "InnoDB".into(),
                charset: "utf8mb4".into(),
                collation: "utf8mb4_0900_ai_ci".into(),
                comment: String::new(),
                others: Vec::new(),
                partitioning: String::new(),
            },
        };
        table.options.set(options);
        let mut parts: Vec<&TablePart> = parts.iter().collect();
        parts.sort_by_key(|part| part.rank());
        for part in parts {
            table.change(&Change::Add(part.clone(), Place::Unchanged))?;
        }
        table.check()?;
        Ok(table)
    }

    fn change(&mut self, change: &Change) -> Result<(), SchemaError> {
        match change {
            Change::Add(part, place) => self.add(part, place)?,
            Change::DropColumn { name, if_exists } => self.drop_column(name, *if_exists)?,
            Change::ReplaceColumn { old, new, place } => self.replace_column(old, new, place)?,
            Change::RenameColumn { old, new } => {
                let mut column = self.columns[self.column_index(old)?].clone();
                column.name.clone_from(new);
                let part = ColumnPart { column, keys: Vec::new(), checks: Vec::new() };
                self.replace_column(old, &part, &Place::Unchanged)?;
            }
            Change::SetDefault { column, default } => {
                let index = self.column_index(column)?;
                self.columns[index].default.clone_from(default);
            }
            Change::DropKey(name) => {
                let index = self.keys.iter().position(|key| key.name.eq_ignore_ascii_case(name));
                self.keys.remove(index.ok_or_else(|| cannot_drop(name))?);
            }
            Change::DropPrimaryKey => {
                let index = self.keys.iter().position(|key| key.kind == KeyKind::Primary);
                self.keys.remove(index.ok_or_else(|| cannot_drop("PRIMARY"))?);
            }
            Change::RenameKey { old, new } => {
                self.free_key_name(new)?;
                self.key_mut(old)?.name.clone_from(new);
            }
            Change::SetKeyVisibility { name, invisible } => self.key_mut(name)?.invisible = *invisible,
            Change::DropForeignKey(name) => {
                let index = self.foreign_keys.iter().position(|key| key.name == *name);
                self.foreign_keys.remove(index.ok_or_else(|| cannot_drop(name))?);
            }
            Change::DropCheck(name) => {
                let index = self.checks.iter().position(|check| check.name == *name);
                self.checks.remove(index.ok_or_else(|| cannot_drop(name))?);
            }
            Change::DropConstraint(name) => {
                let kinds: [fn(String) -> Change; 3] =
                    [Change::DropForeignKey, Change::DropCheck, Change::DropKey];
                let dropped = kinds.iter().any(|kind| self.change(&kind(name.clone())).is_ok());
                return if dropped { Ok(()) } else { Err(cannot_drop(name)) };
            }
            Change::RenameTable(new) => self.name.clone_from(new),
            Change::Options(options) => self.options.set(options),
            Change::Convert(options) => self.convert(options),
            Change::RemovePartitioning => self.options.partitioning.clear(),
        }
        Ok(())
    }

    fn add(&mut self, part: &TablePart, place: &Place) -> Result<(), SchemaError> {
        match part {
            TablePart::Column(part) => self.insert_column(part, place, self.columns.len()),
            TablePart::Key(key) => self.add_key(key.clone()),
            TablePart::ForeignKey(key) => {
                let mut key = key.clone();
                if key.name.is_empty() {
                    key.name = (1..)
                        .map(|number| format!("{}_ibfk_{number}", self.name))
                        .find(|name| self.foreign_keys.iter().all(|other| other.name != *name))
                        .unwrap_or_default();
                }
                if self.foreign_keys.iter().any(|other| other.name == key.name) {
                    let message = format!("Duplicate foreign key constraint name '{}'", key.name);
                    return Err(SchemaError::new(1826, message));
                }
                let is_indexed = self.keys.iter().any(|index| {
                    let columns: Vec<&str> = index.columns().take(key.columns.len()).collect();
                    columns == key.columns
                });
                if !is_indexed {
                    let part = |column: &String| KeyPart {
                        what: Indexed::Column(column.clone()),
                        prefix: None,
                        descending: false,
                    };
                    self.add_key(Key {
                        kind: KeyKind::Plain,
                        name: key.name.clone(),
                        parts: key.columns.iter().map(part).collect(),
                        invisible: false,
                        comment: String::new(),
                    })?;
                }
                self.foreign_keys.push(key);
                Ok(())
            }
            TablePart::Check(check) => {
                let mut check = check.clone();
                if check.name.is_empty() {
                    check.name = (1..)
                        .map(|number| format!("{}_chk_{number}", self.name))
                        .find(|name| self.checks.iter().all(|other| other.name != *name))
                        .unwrap_or_default();
                }
                if self.checks.iter().any(|other| other.name == check.name) {
                    let message = format!("Duplicate check constraint name '{}'", check.name);
                    return Err(SchemaError::new(3822, message));
                }
                self.checks.push(check);
                Ok(())
            }
        }
    }

    fn insert_column(&mut self, part: &ColumnPart, place: &Place, index: usize) -> Result<(), SchemaError> {
        if self.column(&part.column.name).is_some() {
            return Err(SchemaError::new(1060, format!("Duplicate column name '{}'", part.column.name)));
        }
        let index = match place {
            Place::Unchanged => index,
            Place::First => 0,
            Place::After(name) => self.column_index(name)? + 1,
        };
        let mut column = part.column.clone();
        if column.data_type.has_characters() {
            let Options { charset, collation, .. } = &self.options;
            (column.charset, column.collation) = match (column.charset, column.collation) {
                (None, None) => (Some(charset.clone()), Some(collation.clone())),
                (None, Some(collation)) => (Some(charset_of(&collation)), Some(collation)),
                (Some(charset), None) => {
                    let collation = default_collation(&charset);
                    (Some(charset), Some(collation))
                }
                both => both,
            };
        }
        self.columns.insert(index, column);
        for key in &part.keys {
            self.add_key(key.clone())?;
        }
        for check in &part.checks {
            self.add(&TablePart::Check(check.clone()), &Place::Unchanged)?;
        }
        Ok(())
    }

    fn replace_column(&mut self, old: &str, new: &ColumnPart, place: &Place) -> Result<(), SchemaError> {
        let index = self.column_index(old)?;
        let old = self.columns.remove(index).name;
        self.insert_column(new, place, index)?;
        let new = &new.column.name;
        if old != *new {
            for part in self.keys.iter_mut().flat_map(|key| &mut key.parts) {
                if let Indexed::Column(column) = &mut part.what
                    && column.eq_ignore_ascii_case(&old)
                {
                    column.clone_from(new);
                }
            }
            for column in self.foreign_keys.iter_mut().flat_map(|key| &mut key.columns) {
                if column.eq_ignore_ascii_case(&old) {
                    column.clone_from(new);
                }
            }
        }
        Ok(())
    }

    fn drop_column(&mut self, name: &str, if_exists: bool) -> Result<(), SchemaError> {
        let Ok(index) = self.column_index(name) else {
            return if if_exists { Ok(()) } else { Err(cannot_drop(name)) };
        };
        if self.columns.len() == 1 {
            let message = "You can't delete all columns with ALTER TABLE; use DROP TABLE instead";
            return Err(SchemaError::new(1090, message));
        }
        if let Some(key) = self.foreign_keys.iter().find(|key| key.columns.iter().any(|c| c == name)) {
            let message =
                format!("Cannot drop column '{name}': needed in a foreign key constraint '{}'", key.name);
            return Err(SchemaError::new(1828, message));
        }
        self.columns.remove(index);
        // MySQL takes the column out of every key, and a key without columns goes with it.
        for key in &mut self.keys {
            key.parts
                .retain(|part| !matches!(&part.what, Indexed::Column(c) if c.eq_ignore_ascii_case(name)));
        }
        self.keys.retain(|key| !key.parts.is_empty());
        Ok(())
    }

    fn add_key(&mut self, mut key: Key) -> Result<(), SchemaError> {
        if key.kind == KeyKind::Primary {
            if self.primary_key().is_some() {
                return Err(SchemaError::new(1068, "Multiple primary key defined"));
            }
            for column in key.columns() {
                let index = self.key_column_index(column)?;
                self.columns[index].nullable = false;
            }
            self.keys.insert(0, key);
            return Ok(());
        }
        for column in key.columns() {
            self.key_column_index(column)?;
        }
        if key.name.is_empty() {
            let first = key.columns().next().unwrap_or("functional_index").to_owned();
            let mut names =
                std::iter::once(first.clone()).chain((2..).map(|number| format!("{first}_{number}")));
            key.name = names.find(|name| self.free_key_name(name).is_ok()).unwrap_or_default();
        }
        self.free_key_name(&key.name)?;
        // MySQL keeps unique keys before the others.
        let index = match key.kind {
            KeyKind::Unique => self.keys.iter().filter(|other| other.is_unique()).count(),
            _ => self.keys.len(),
        };
        self.keys.insert(index, key);
        Ok(())
    }

    fn free_key_name(&self, name: &str) -> Result<(), SchemaError> {
        if self.keys.iter().any(|key| key.name.eq_ignore_ascii_case(name)) {
            return Err(SchemaError::new(1061, format!("Duplicate key name '{name}'")));
        }
        Ok(())
    }

    fn key_mut(&mut self, name: &str) -> Result<&mut Key, SchemaError> {
        let table = self.name.clone();
        self.keys
            .iter_mut()
            .find(|key| key.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| SchemaError::new(1176, format!("Key '{name}' doesn't exist in table '{table}'")))
    }

    fn column_index(&self, name: &str) -> Result<usize, SchemaError> {
        let index = self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
        index.ok_or_else(|| SchemaError::new(1054, format!("Unknown column '{name}' in '{}'", self.name)))
    }

    fn key_column_index(&self, name: &str) -> Result<usize, SchemaError> {
        let missing = || SchemaError::new(1072, format!("Key column '{name}' doesn't exist in table"));
        self.column_index(name).map_err(|_| missing())
    }

    /// What must hold once all changes of a statement are made.
    fn check(&self) -> Result<(), SchemaError> {
        if self.columns.is_empty() {
            return Err(SchemaError::new(1113, "A table must have at least 1 column"));
        }
        let automatic: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| column.auto_increment)
            .map(|column| column.name.as_str())
            .collect();
        let is_key = |column: &&str| self.keys.iter().any(|key| key.columns().next() == Some(column));
        if automatic.len() > 1 || !automatic.iter().all(is_key) {
            let message = "Incorrect table definition; there can be only one auto column and it must be defined as a key";
            return Err(SchemaError::new(1075, message));
        }
        for key in self.primary_key().into_iter().chain(&self.keys) {
            for column in key.columns() {
                self.key_column_index(column)?;
            }
        }
        let is_expression = |default: &String| default.starts_with('(');
        for column in self.columns.iter().filter(|column| column.data_type.is_text_or_blob()) {
            if column.default.as_ref().is_some_and(|default| !is_expression(default)) {
                let message = format!(
                    "BLOB, TEXT, GEOMETRY or JSON column '{}' can't have a default value",
                    column.name
                );
                return Err(SchemaError::new(1101, message));
            }
        }
        Ok(())
    }

    /// Sets the character set of the table and of every column.
    fn convert(&mut self, options: &[TableOption]) {
        self.options.set(options);
        for column in self.columns.iter_mut().filter(|column| column.data_type.has_characters()) {
            column.charset = Some(self.options.charset.clone());
            column.collation = Some(self.options.collation.clone());
        }
    }
}

impl Options {
    fn set(&mut self, options: &[TableOption]) {
        for option in options {
            match option {
                TableOption::Engine(engine) => {
                    let is_default = engine.eq_ignore_ascii_case("innodb");
                    self.engine = if is_default { "InnoDB".into() } else { engine.clone() };
                }
                TableOption::Charset(charset) => {
                    self.charset.clone_from(charset);
                    self.collation = default_collation(charset);
                }
                TableOption::Collation(collation) => {
                    self.charset = charset_of(collation);
                    self.collation.clone_from(collation);
                }
                TableOption::Comment(comment) => self.comment.clone_from(comment),
                TableOption::Partitioning(text) => self.partitioning.clone_from(text),
                TableOption::Other(name, value) => {
                    self.others.retain(|(other, _)| other != name);
                    if value != Self::default_of(name) {
                        self.others.push((name.clone(), value.clone()));
                        self.others.sort();
                    }
                }
            }
        }
    }
}

fn charset_of(collation: &str) -> String {
    collation.split('_').next().unwrap_or_default().to_owned()
}

fn default_collation(charset: &str) -> String {
    match charset {
        "utf8mb4" => "utf8mb4_0900_ai_ci".into(),
        "latin1" => "latin1_swedish_ci".into(),
        "binary" => "binary".into(),
        other => format!("{other}_general_ci"),
    }
}
