//! `JSONata` as Step Functions evaluates it: variables, `$states`, and no result is an error.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator};
use jsonata_core::parser;
use jsonata_core::value::{JArray, JValue};
use serde_json::{Map, Value};

use crate::jsonata::wanted::Wanted;

mod wanted;

thread_local! {
    static RECORDED: RefCell<Option<BTreeMap<String, Vec<Value>>>> = const { RefCell::new(None) };
    static PARSED: RefCell<HashMap<String, Rc<Parsed>>> = RefCell::default();
}

/// An expression that was read, and what it names.
struct Parsed {
    tree: AstNode,
    wanted: Wanted,
    /// The members from a variable on, if the expression is nothing else.
    path: Option<Vec<String>>,
}

/// The variables of an execution.
pub type Variables = BTreeMap<Arc<str>, Arc<Value>>;

/// The values that expressions can name.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The variables of the execution.
    pub variables: Arc<Variables>,
    /// `$states`, without `context`.
    pub states: Variables,
    /// `$states.context`.
    pub context: Variables,
}

impl Scope {
    /// The scope in which `$states` is `states`.
    pub fn of(variables: Map<String, Value>, mut states: Map<String, Value>) -> Self {
        let shared = |map: Map<String, Value>| {
            map.into_iter().map(|(name, value)| (Arc::from(name), Arc::new(value))).collect()
        };
        let context = states.remove("context").and_then(|context| context.as_object().cloned());
        Self {
            variables: Arc::new(shared(variables)),
            states: shared(states),
            context: shared(context.unwrap_or_default()),
        }
    }

    /// The value that a path of members leads to; none when the evaluator has to say what it is: an array on the way
    /// is mapped over, and one at the end may be a sequence.
    fn at(&self, path: &[String]) -> Option<Option<&Value>> {
        let (variable, mut rest) = path.split_first()?;
        let mut value = if variable == "states" {
            let (member, after) = rest.split_first()?;
            rest = after;
            if member == "context" {
                let (member, after) = rest.split_first()?;
                rest = after;
                self.context.get(member.as_str())
            } else {
                self.states.get(member.as_str())
            }
        } else {
            self.variables.get(variable.as_str())
        }
        .map(AsRef::as_ref);
        for member in rest {
            value = match value {
                Some(Value::Object(fields)) => fields.get(member),
                Some(Value::Array(_)) => return None,
                _ => None,
            };
        }
        if value.is_some_and(Value::is_array) { None } else { Some(value) }
    }

    /// `$states`, as one value.
    fn states(&self, wanted: &Wanted) -> JValue {
        let context = |wanted: &Wanted| members(&self.context, wanted);
        let mut states = match members(&self.states, wanted) {
            JValue::Object(states) => (*states).clone().into_inner(),
            _ => Default::default(),
        };
        if let Some(wanted) = wanted.member("context") {
            states.insert("context".into(), context(wanted));
        }
        JValue::object(states)
    }
}

fn members(of: &Variables, wanted: &Wanted) -> JValue {
    let found =
        of.iter().filter_map(|(name, value)| Some((name.to_string(), pruned(value, wanted.member(name)?))));
    JValue::object(found.collect())
}

/// As much of `value` as is wanted.
fn pruned(value: &Value, wanted: &Wanted) -> JValue {
    match (value, wanted) {
        (Value::Object(fields), Wanted::Members(_)) => {
            let found = fields
                .iter()
                .filter_map(|(name, field)| Some((name.clone(), pruned(field, wanted.member(name)?))));
            JValue::object(found.collect())
        }
        (Value::Object(fields), Wanted::All) => {
            let all = fields.iter().map(|(name, field)| (name.clone(), pruned(field, wanted)));
            JValue::object(all.collect())
        }
        (Value::Array(items), _) => {
            let flat = !items.iter().any(Value::is_array);
            let items = items.iter().map(|item| pruned(item, &Wanted::All)).collect();
            JValue::Array(JArray::new_flat(items, flat))
        }
        (Value::Null, _) => JValue::Null,
        (Value::Bool(value), _) => JValue::Bool(*value),
        (Value::Number(value), _) => JValue::Number(value.as_f64().unwrap_or_default()),
        (Value::String(text), _) => JValue::string(text.as_str()),
    }
}

/// A result as JSON.
fn json(value: &JValue) -> Result<Value, String> {
    Ok(match value {
        JValue::Null => Value::Null,
        JValue::Bool(value) => Value::Bool(*value),
        JValue::String(text) => Value::String(text.to_string()),
        JValue::Array(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        JValue::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| Ok((name.clone(), json(field)?)));
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
        other => {
            let text = other.to_json_string().map_err(|error| error.to_string())?;
            serde_json::from_str(&text).map_err(|error| error.to_string())?
        }
    })
}

/// Every `{% … %}` in `template` with its value in its place; the rest as it is.
///
/// # Errors
/// The sentence of `States.QueryEvaluationError`: an expression cannot be evaluated or has no result.
pub fn fill(template: &Value, scope: &Scope) -> Result<Value, String> {
    match template {
        Value::String(text) => match expression(text) {
            Some(expression) => evaluate(expression, scope)?.ok_or_else(|| {
                format!("The JSONata expression '{expression}' returned nothing (undefined).")
            }),
            None => Ok(template.clone()),
        },
        Value::Array(items) => {
            items.iter().map(|item| fill(item, scope)).collect::<Result<_, _>>().map(Value::Array)
        }
        Value::Object(fields) => {
            let filled = fields.iter().map(|(name, field)| Ok((name.clone(), fill(field, scope)?)));
            filled.collect::<Result<_, String>>().map(Value::Object)
        }
        _ => Ok(template.clone()),
    }
}

/// The expression in a string that is one.
pub fn expression(text: &str) -> Option<&str> {
    Some(text.trim().strip_prefix("{%")?.strip_suffix("%}")?.trim())
}

/// The value of `expression`; none when it is undefined.
///
/// # Errors
/// A sentence.
pub fn evaluate(expression: &str, scope: &Scope) -> Result<Option<Value>, String> {
    let parsed = PARSED.with_borrow_mut(|parsed| match parsed.get(expression) {
        Some(found) => Ok(found.clone()),
        None => {
            let tree = parser::parse(expression).map_err(|error| format!("{expression}: {error}"))?;
            let (wanted, path) = (Wanted::by(expression), wanted::path(expression));
            let new = Rc::new(Parsed { tree, wanted, path });
            parsed.insert(expression.to_owned(), new.clone());
            Ok::<_, String>(new)
        }
    })?;
    record(expression, scope);
    if let Some(found) = parsed.path.as_ref().and_then(|path| scope.at(path)) {
        return Ok(found.cloned());
    }
    let mut context = Context::new();
    for (name, wanted) in parsed.wanted.members() {
        if name == "states" {
            context.bind(name.clone(), scope.states(wanted));
        } else if let Some(value) = scope.variables.get(name.as_str()) {
            context.bind(name.clone(), pruned(value, wanted));
        }
    }
    let result = Evaluator::with_context(context)
        .evaluate(&parsed.tree, &JValue::Undefined)
        .map_err(|error| format!("{expression}: {}", error.message()))?;
    if result.is_undefined() {
        return Ok(None);
    }
    json(&result).map(Some).map_err(|error| format!("{expression}: {error}"))
}

/// How many different cases of one expression are recorded.
const CASES: usize = 4;

/// Runs `work` and gives every expression that was evaluated meanwhile, with some of the values that it saw.
pub fn recorded(work: impl FnOnce()) -> BTreeMap<String, Vec<Value>> {
    RECORDED.set(Some(BTreeMap::new()));
    work();
    RECORDED.take().unwrap_or_default()
}

fn record(expression: &str, scope: &Scope) {
    RECORDED.with_borrow_mut(|recorded| {
        let Some(cases) = recorded.as_mut().map(|all| all.entry(expression.to_owned()).or_default()) else {
            return;
        };
        if cases.len() == CASES {
            return;
        }
        let named = |name: &str| expression.contains(&format!("${name}"));
        let plain = |map: &Variables, wanted: &dyn Fn(&str) -> bool| -> Map<String, Value> {
            let wanted = map.iter().filter(|(name, _)| wanted(name));
            wanted.map(|(name, value)| (name.to_string(), (**value).clone())).collect()
        };
        let mut values = plain(&scope.variables, &named);
        if named("states") {
            let mut states = plain(&scope.states, &|_| true);
            states.insert("context".into(), Value::Object(plain(&scope.context, &|_| true)));
            values.insert("states".into(), Value::Object(states));
        }
        let case = Value::Object(values);
        if !cases.contains(&case) {
            cases.push(case);
        }
    });
}
