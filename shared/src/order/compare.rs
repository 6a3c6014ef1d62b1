//! A column, key, foreign key or check before and after a change.

use super::charset;
use super::data_type::loss;
use super::effects::Effects;
use super::table::{Check, Column, Default, Definition, ForeignKey, Key, KeyKind, Table, mentions, same};

/// The effects of what became of the column `name`.
pub fn column(before: &Table, after: &Table, name: &str) -> Effects {
    let renamed = after.columns.iter().find(|column| {
        column.origin.as_deref().is_some_and(|origin| same(origin, name)) && !same(&column.name, name)
    });
    let now = after.column(name);
    let comes_from_another =
        now.and_then(|now| now.origin.as_deref()).is_some_and(|origin| !same(origin, name));
    let mut effects = Effects::default();
    match (before.column(name), renamed, now) {
        (Some(was), Some(column), _) => rename(&mut effects, &after.name, was, column),
        _ if comes_from_another => {}
        (None, _, None) => {}
        (None, _, Some(now)) => added(&mut effects, after, now),
        (Some(was), _, None) => dropped(&mut effects, before, after, was),
        (Some(was), _, Some(now)) => changed(&mut effects, (before, was), (after, now)),
    }
    effects
}

fn rename(effects: &mut Effects, table: &str, was: &Column, column: &Column) {
    let (old, new) = (&was.name, &column.name);
    effects.breaks_old(format!("every statement that names `{old}` fails, as it is `{new}` now"));
    effects.breaks_new(format!("every statement that names `{new}` fails, as it is still `{old}`"));
    let written =
        column.definition.as_ref().or(was.definition.as_ref()).map_or("…", |d| d.written_type.as_str());
    effects.way_out(format!(
        "1. release ALTER TABLE `{table}` ADD COLUMN `{new}` {written} NULL with code that writes both columns; 2. copy with \
         UPDATE `{table}` SET `{new}` = `{old}`, and release code that reads `{new}` and leaves `{old}` out of its INSERTs \
         (give `{old}` a default or NULL first if it has none); 3. release ALTER TABLE `{table}` DROP COLUMN `{old}`"
    ));
}

fn added(effects: &mut Effects, table: &Table, column: &Column) {
    let (name, of) = (&column.name, &table.name);
    effects.breaks_new(format!("every statement that names `{name}` fails, as it does not exist yet"));
    let Some(definition) = &column.definition else { return };
    let is_computed = definition.generated.is_some();
    if is_computed && !definition.nullable {
        effects.breaks_old(format!("an INSERT for which the expression of `{name}` is NULL is refused"));
        effects.way_out(format!("release `{name}` without NOT NULL"));
    }
    if !definition.may_be_left_out() {
        effects.breaks_old(format!(
            "every INSERT fails, as it leaves out `{name}`, which is NOT NULL and has no default"
        ));
        let written = &definition.written_type;
        effects.way_out(format!(
            "1. release ALTER TABLE `{of}` ADD COLUMN `{name}` {written} NULL (or with a DEFAULT, which ends it here) with \
             code that writes `{name}`; 2. fill the rows before: UPDATE `{of}` SET `{name}` = … WHERE `{name}` IS NULL; \
             3. release ALTER TABLE `{of}` MODIFY COLUMN `{name}` {written} NOT NULL"
        ));
    }
    if let Some(reason) = refused_when_left_out(table, column, definition) {
        effects.breaks_old(format!("an INSERT that leaves out `{name}` may fail: {reason}"));
        effects.way_out(format!("1. release `{name}` without it, nullable and without a default; 2. fill `{name}`; 3. release the rest"));
    }
}

/// What may refuse a row whose INSERT leaves the column out, though the column has a value for it.
fn refused_when_left_out(table: &Table, column: &Column, definition: &Definition) -> Option<String> {
    if !definition.may_be_left_out() {
        return None;
    }
    let name = &column.name;
    for check in table
        .checks
        .iter()
        .filter(|check| check.enforced && mentions(&check.expression, &name.to_lowercase()))
    {
        if !(definition.is_null_when_left_out() && check.passes_null_of(name, table)) {
            return Some(format!("the check `{}` may refuse what it gets then", check.name));
        }
    }
    if definition.is_null_when_left_out() || definition.auto_increment {
        return None;
    }
    let is_null = |column: &str| {
        let definition = table.column(column).and_then(|column| column.definition.as_ref());
        definition.is_some_and(|d| d.is_null_when_left_out() || d.auto_increment)
            && table.column(column).is_some_and(|column| column.origin.is_none())
    };
    let key = (table.keys.iter()).find(|key| {
        key.is_unique() && key.names_column(name) && !key.parts.iter().any(|part| is_null(&part.what))
    });
    if let Some(key) = key {
        return Some(format!("its value is the same in each row, and the key `{}` is unique", key.name));
    }
    let foreign = table.foreign_keys.iter().find(|key| key.columns.contains(&name.to_lowercase()))?;
    Some(format!("its default has no row in `{}`", foreign.parent))
}

fn dropped(effects: &mut Effects, before: &Table, after: &Table, column: &Column) {
    let (name, of) = (&column.name, &after.name);
    effects.breaks_old(format!("every statement that names `{name}` fails"));
    let Some(definition) = &column.definition else {
        effects.guessed = true;
        return;
    };
    let written = &definition.written_type;
    if !definition.may_be_left_out() {
        effects.breaks_new(format!(
            "every INSERT fails until it is gone, as it leaves out `{name}`, which is NOT NULL and has no default"
        ));
        effects.way_out(format!(
            "1. release ALTER TABLE `{of}` MODIFY COLUMN `{name}` {written} NULL; 2. release the code that does not name \
             `{name}` any more, together with ALTER TABLE `{of}` DROP COLUMN `{name}`"
        ));
    }
    // A key that the change itself adds does not stand in the way before.
    if let Some(reason) = refused_when_left_out(before, column, definition) {
        effects.breaks_new(format!("an INSERT that leaves out `{name}` may fail until it is gone: {reason}"));
        effects.way_out(format!(
            "1. release the drop of what refuses it, or make `{name}` nullable with DEFAULT NULL; 2. release the code that \
             does not name `{name}` any more, together with ALTER TABLE `{of}` DROP COLUMN `{name}`"
        ));
    }
}

fn changed(effects: &mut Effects, (before, was): (&Table, &Column), (after, now): (&Table, &Column)) {
    let name = &now.name;
    let (Some(was), Some(now)) = (&was.definition, &now.definition) else {
        if now.definition.is_some() {
            effects.breaks_old(format!("`{name}` may refuse what it took before"));
            effects.guessed = true;
        }
        return;
    };
    match (&was.generated, &now.generated) {
        (None, Some(_)) => {
            effects.breaks_old(format!("a statement that writes `{name}` fails, as it is computed now"));
        }
        (Some(_), None) => {
            effects.breaks_new(format!("a statement that writes `{name}` fails, as it is still computed"));
        }
        _ => {}
    }
    let both_computed = was.generated.is_some() && now.generated.is_some();
    types(effects, name, (before, was), (after, now));
    if was.nullable && !now.nullable && !now.auto_increment {
        effects.breaks_old(if both_computed {
            format!("an INSERT for which the expression of `{name}` is NULL is refused")
        } else {
            format!("a statement that writes NULL to `{name}` fails")
        });
    }
    if !was.nullable && now.nullable && !was.auto_increment {
        effects.breaks_new(format!("a statement that writes NULL to `{name}` fails"));
    }
    if was.auto_increment && !now.auto_increment {
        effects.breaks_old(format!(
            "an INSERT that leaves out `{name}` fails, as it is not counted up any more"
        ));
    } else if was.may_be_left_out() && !now.may_be_left_out() {
        effects
            .breaks_old(format!("an INSERT that leaves out `{name}` fails, as it has no default any more"));
    }
    if now.auto_increment && !was.auto_increment {
        effects.breaks_new(format!("an INSERT that leaves out `{name}` fails, as it is not counted up yet"));
    } else if now.may_be_left_out() && !was.may_be_left_out() {
        effects.breaks_new(format!("an INSERT that leaves out `{name}` fails, as it has no default yet"));
    }
    if was.invisible != now.invisible {
        if now.invisible {
            effects.breaks_old(format!("SELECT * does not find `{name}`"));
        } else {
            effects.breaks_new(format!("SELECT * does not find `{name}` yet"));
        }
    }
    let defaults = (written_default(was), written_default(now));
    if defaults.0 != defaults.1 && was.may_be_left_out() && now.may_be_left_out() && was.generated.is_none() {
        if let Some(reason) = refused_when_left_out(after, &Column { origin: None, ..self::named(name) }, now)
        {
            effects.breaks_old(format!("an INSERT that leaves out `{name}` may fail: {reason}"));
        }
        if let Some(reason) =
            refused_when_left_out(before, &Column { origin: None, ..self::named(name) }, was)
        {
            effects.breaks_new(format!("an INSERT that leaves out `{name}` may fail: {reason}"));
        }
    }
    if !effects.old.is_empty() && !effects.new.is_empty() {
        let of = &after.name;
        effects.way_out(format!(
            "1. release a column that takes what both take, or a second column beside `{name}` of `{of}` with code that \
             writes both; 2. copy the values and release code that reads the second; 3. release what drops or tightens the first"
        ));
    }
}

fn named(name: &str) -> Column {
    Column { name: name.to_owned(), origin: None, definition: None }
}

fn written_default(definition: &Definition) -> Option<&str> {
    match &definition.default {
        Default::Value(value) => Some(value),
        Default::Unwritten | Default::Null | Default::Dropped => None,
    }
}

fn types(
    effects: &mut Effects,
    name: &str,
    (before, was): (&Table, &Definition),
    (after, now): (&Table, &Definition),
) {
    let (was_charset, was_collation) = before.characters(was);
    let (now_charset, now_collation) = after.characters(now);
    let known = |charset: &Option<String>| charset.clone().unwrap_or_else(|| "utf8mb4".into());
    let (from, to) = (known(&was_charset), known(&now_charset));
    if was.data_type != now.data_type || from != to {
        if let Some(reason) = loss((&was.data_type, &from), (&now.data_type, &to)) {
            effects.breaks_old(format!("values of `{name}` do not pass: {reason}"));
        }
        if let Some(reason) = loss((&now.data_type, &to), (&was.data_type, &from)) {
            effects.breaks_new(format!("values of `{name}` do not pass yet: {reason}"));
        }
    }
    if !(was.data_type.has_characters() && now.data_type.has_characters()) {
        return;
    }
    if from != to {
        if !charset::is_within(&from, &to) {
            effects.breaks_old(format!("characters of `{name}` that {to} does not have are refused"));
        }
        if !charset::is_within(&to, &from) {
            effects.breaks_new(format!("characters of `{name}` that {from} does not have are refused"));
        }
    } else if let (Some(was), Some(now)) = (was_collation, now_collation)
        && was != now
    {
        for reasons in [&mut effects.old, &mut effects.new] {
            reasons.push(format!(
                "`{name}` is compared by another collation ({was}, {now}): it may find other rows, and fail beside columns of the other one"
            ));
        }
    }
}

/// The effects of what became of the key `name`.
pub fn key(before: &Table, after: &Table, name: &str) -> Effects {
    let mut effects = Effects::default();
    let (was, now) = (before.key(name), after.key(name));
    let hint = |name: &str| format!("a hint such as FORCE INDEX (`{name}`) fails");
    match (was, now) {
        (None, None) => {}
        (None, Some(now)) => {
            if now.is_unique() && !takes_rows_of_before(after, now) {
                effects
                    .breaks_old(format!("a row that the unique key `{}` has already is refused", now.name));
            }
            let has_cast = now.parts.iter().any(|part| part.is_expression && part.what.contains("cast"));
            if has_cast {
                effects
                    .breaks_old(format!("a row for which the expression of `{}` fails is refused", now.name));
            }
            if now.kind == KeyKind::Fulltext && !has_fulltext(before, now) {
                effects.breaks_new("MATCH … AGAINST fails, as it needs the FULLTEXT key");
            }
            // Of the two names of a renamed key this is the new one.
            let renamed = before.keys.iter().any(|key| after.key(&key.name).is_none() && is_alike(key, now));
            if renamed {
                effects.breaks_new(hint(&now.name));
            }
        }
        (Some(was), None) => {
            effects.breaks_old(hint(&was.name));
            if was.kind == KeyKind::Fulltext && !has_fulltext(after, was) {
                effects.breaks_old("MATCH … AGAINST fails, as it needs the FULLTEXT key");
            }
            let replaced =
                after.keys.iter().find(|key| before.key(&key.name).is_none() && is_alike(key, was));
            if let Some(now) = replaced {
                effects.breaks_new(hint(&now.name));
                effects.way_out(format!(
                    "1. release the key `{}` beside `{}`; 2. release the drop of `{}`",
                    now.name, was.name, was.name
                ));
            } else if was.is_unique()
                && !after.keys.iter().any(|key| key.is_unique() && was.is_no_stricter_than(key))
            {
                effects.breaks_new(format!(
                    "a row that the unique key `{}` has already is refused until it is gone",
                    was.name
                ));
                let of = &after.name;
                let columns: Vec<&str> = was.parts.iter().map(|part| part.what.as_str()).collect();
                let columns = columns.join("`, `");
                effects.way_out(format!(
                    "1. release ALTER TABLE `{of}` DROP KEY `{name}`, ADD KEY `{name}` (`{columns}`), which hints still find; \
                     2. release ALTER TABLE `{of}` DROP KEY `{name}`"
                ));
            }
            effects.guessed = was.kind == KeyKind::Unknown;
        }
        (Some(was), Some(now)) => {
            if was.kind == KeyKind::Unknown || (was.parts.is_empty() && was.kind == KeyKind::Primary) {
                if now.is_unique() && now != was {
                    effects.breaks_old(format!(
                        "a row that the unique key `{}` has already is refused",
                        now.name
                    ));
                }
                effects.guessed = now != was;
                return effects;
            }
            let strict = (was.is_unique(), now.is_unique());
            if strict.1 && !(strict.0 && now.is_no_stricter_than(was)) && !takes_rows_of_before(after, now) {
                effects
                    .breaks_old(format!("a row that the unique key `{}` has already is refused", now.name));
            }
            if strict.0 && !(strict.1 && was.is_no_stricter_than(now)) {
                effects.breaks_new(format!(
                    "a row that the unique key `{}` has already is refused until it is another",
                    was.name
                ));
            }
            if was.kind == KeyKind::Fulltext && !has_fulltext(after, was) {
                effects.breaks_old("MATCH … AGAINST fails, as it needs the FULLTEXT key");
            }
            if now.kind == KeyKind::Fulltext && !has_fulltext(before, now) {
                effects.breaks_new("MATCH … AGAINST fails, as it needs the FULLTEXT key");
            }
            match (was.invisible, now.invisible) {
                (false, true) => effects.breaks_old(hint(&now.name)),
                (true, false) => effects.breaks_new(hint(&now.name)),
                _ => {}
            }
        }
    }
    effects
}

/// Whether the rows that the old code adds differ for a unique key: a part that they leave out is NULL or counted up.
fn takes_rows_of_before(after: &Table, key: &Key) -> bool {
    key.parts.iter().any(|part| {
        after.column(&part.what).is_some_and(|column| {
            column.origin.is_none()
                && column.definition.as_ref().is_some_and(|d| d.is_null_when_left_out() || d.auto_increment)
        })
    })
}

fn has_fulltext(table: &Table, like: &Key) -> bool {
    table.keys.iter().any(|key| key.kind == KeyKind::Fulltext && !key.invisible && is_alike(key, like))
}

fn is_alike(one: &Key, other: &Key) -> bool {
    !one.parts.is_empty() && one.kind == other.kind && one.parts == other.parts
}

/// The effects of what became of the foreign key `name`.
pub fn foreign_key(before: &Table, after: &Table, name: &str) -> Effects {
    let of = |table: &Table| table.foreign_keys.iter().find(|key| same(&key.name, name)).cloned();
    // Names do not count: only what is refused does.
    let alike = |one: &ForeignKey, other: &ForeignKey| {
        one.columns == other.columns
            && same(&one.parent, &other.parent)
            && one.parent_columns == other.parent_columns
    };
    let mut effects = Effects::default();
    let (was, now) = (of(before), of(after));
    if was.is_none() && now.is_none() {
        effects.breaks_new(format!("what the foreign key `{name}` refuses is refused until it is gone"));
        effects.guessed = true;
    }
    if let Some(now) = &now {
        match before.foreign_keys.iter().find(|key| alike(key, now)) {
            Some(was) => actions(&mut effects, was, now),
            None if takes_children_of_before(after, now) => {}
            None => effects.breaks_old(format!(
                "a row without its row in `{}` is refused by the foreign key, and so is the DELETE of a row that is referred to",
                now.parent
            )),
        }
    }
    if let Some(was) = &was
        && !after.foreign_keys.iter().any(|key| alike(key, was))
    {
        effects.breaks_new(format!(
            "a row without its row in `{}` is refused until the foreign key is gone",
            was.parent
        ));
    }
    effects
}

fn takes_children_of_before(after: &Table, key: &ForeignKey) -> bool {
    key.columns.iter().any(|column| {
        after.column(column).is_some_and(|column| {
            column.origin.is_none()
                && column.definition.as_ref().is_some_and(Definition::is_null_when_left_out)
        })
    })
}

fn actions(effects: &mut Effects, was: &ForeignKey, now: &ForeignKey) {
    for (was, now, what) in
        [(was.on_delete, now.on_delete, "DELETE"), (was.on_update, now.on_update, "UPDATE")]
    {
        match (was, now) {
            _ if was == now => {}
            (_, "RESTRICT") => {
                effects.breaks_old(format!("a {what} of a row that is referred to is refused"));
            }
            ("RESTRICT", _) => {
                effects.breaks_new(format!("a {what} of a row that is referred to is refused yet"));
            }
            _ => {
                effects.breaks_old(format!("a {what} does something else with the rows that refer to it"));
                effects.breaks_new(format!("a {what} does something else with the rows that refer to it"));
                effects.way_out(
                    "1. release the foreign key without the action; 2. release it with the other one",
                );
            }
        }
    }
}

/// The effects of what became of the check `name`.
pub fn check(before: &Table, after: &Table, name: &str) -> Effects {
    let of = |table: &Table| table.checks.iter().find(|check| same(&check.name, name)).cloned();
    let has = |table: &Table, like: &Check| {
        table.checks.iter().any(|check| check.enforced && check.expression == like.expression)
    };
    let mut effects = Effects::default();
    let (was, now) = (of(before), of(after));
    if was.is_none() && now.is_none() {
        effects.breaks_new(format!("a row against the check `{name}` is refused until it is gone"));
        effects.guessed = true;
    }
    if let Some(now) = &now
        && now.enforced
        && !has(before, now)
        && !only_of_added_columns(after, now)
    {
        effects.breaks_old(format!("a row against the check `{}` is refused", now.name));
    }
    if let Some(was) = &was
        && was.enforced
        && !has(after, was)
    {
        effects.breaks_new(format!("a row against the check `{}` is refused until it is gone", was.name));
    }
    effects
}

/// Whether a check speaks of columns that the change adds, and of no others: those are compared by [`column`].
fn only_of_added_columns(after: &Table, check: &Check) -> bool {
    let mut named =
        after.columns.iter().filter(|column| mentions(&check.expression, &column.name.to_lowercase()));
    let all: Vec<_> = named.by_ref().collect();
    after.known && !all.is_empty() && all.iter().all(|column| column.origin.is_none())
}
