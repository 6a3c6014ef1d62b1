//! `JSONata` as Step Functions evaluates it: variables, `$states`, and no result is an error.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator};
use jsonata_core::parser;
use jsonata_core::value::JValue;
use serde_json::{Map, Value};

thread_local! {
    static RECORDED: RefCell<Option<BTreeMap<String, Vec<Value>>>> = const { RefCell::new(None) };
    static PARSED: RefCell<HashMap<String, Rc<AstNode>>> = RefCell::default();
}

/// The values that expressions can name.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The variables of the execution.
    pub variables: Map<String, Value>,
    /// `$states`.
    pub states: Map<String, Value>,
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
            let new = Rc::new(parser::parse(expression).map_err(|error| format!("{expression}: {error}"))?);
            parsed.insert(expression.to_owned(), new.clone());
            Ok::<_, String>(new)
        }
    })?;
    record(expression, scope);
    let mut context = Context::new();
    for (name, value) in &scope.variables {
        context.bind(name.clone(), JValue::from(value.clone()));
    }
    context.bind("states".into(), JValue::from(Value::Object(scope.states.clone())));
    let result = Evaluator::with_context(context)
        .evaluate(&parsed, &JValue::Undefined)
        .map_err(|error| format!("{expression}: {}", error.message()))?;
    if result.is_undefined() {
        return Ok(None);
    }
    let text = result.to_json_string().map_err(|error| format!("{expression}: {error}"))?;
    serde_json::from_str(&text).map(Some).map_err(|error| format!("{expression}: {error}"))
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
        let mut values: Map<String, Value> = scope
            .variables
            .iter()
            .filter(|(name, _)| named(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if named("states") {
            values.insert("states".into(), Value::Object(scope.states.clone()));
        }
        let case = Value::Object(values);
        if !cases.contains(&case) {
            cases.push(case);
        }
    });
}
