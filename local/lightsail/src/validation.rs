//! The rules of the API model and documentation for what a request may say.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::ApiError;
use crate::image::ImageReference;
use crate::requests::{
    ContainerRequest, ContainerSpec, DeploymentRequest, DeploymentSpec, EndpointRequest, EndpointSpec,
    Environment, HealthCheckRequest, HealthCheckSpec, PublicDomainNames, Tag,
};
use crate::settings::{DigestReferences, Settings};

/// The service's own, anchored form of the model's pattern, as seen live by third parties.
const NAME_PATTERN: &str = "^(?:[a-z0-9]{1,2}|[a-z0-9][a-z0-9-]+[a-z0-9])$";
const POWERS: [&str; 6] = ["nano", "micro", "small", "medium", "large", "xlarge"];
const PROTOCOLS: [&str; 4] = ["HTTP", "HTTPS", "TCP", "UDP"];
const MOST_CONTAINERS: usize = 10;
const MOST_DOMAIN_NAMES: usize = 4;
const MOST_TAGS: usize = 50;

type Checked<T> = Result<T, ApiError>;

/// The member `name` of a request, which must be there.
pub fn required<T>(name: &str, value: Option<T>) -> Checked<T> {
    value.ok_or_else(|| ApiError::invalid_input(format!("The parameter {name} is required.")))
}

pub fn service_name(name: &str) -> Checked<()> {
    check_name("Service name", name, 63)
}

pub fn label(label: &str) -> Checked<()> {
    check_name("Label", label, 53)
}

fn check_name(what: &str, name: &str, longest: usize) -> Checked<()> {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_good = name.bytes().all(|byte| is_alphanumeric(byte) || byte == b'-')
        && name.bytes().next().is_some_and(is_alphanumeric)
        && name.bytes().last().is_some_and(is_alphanumeric);
    if !is_good {
        return invalid(format!("{what} \"{name}\" does not match pattern: {NAME_PATTERN}"));
    }
    if name.len() > longest {
        return invalid(format!("{what} \"{name}\" has more than {longest} characters."));
    }
    Ok(())
}

pub fn power(power: &str) -> Checked<()> {
    one_of("power", power, &POWERS)
}

pub fn scale(scale: i64) -> Checked<u32> {
    Ok(within("scale", scale, 1, 20)? as u32)
}

pub fn public_domain_names(names: &PublicDomainNames) -> Checked<()> {
    if names.values().flatten().count() > MOST_DOMAIN_NAMES {
        return invalid(format!("A container service has at most {MOST_DOMAIN_NAMES} public domain names."));
    }
    Ok(())
}

pub fn tags(tags: &[Tag]) -> Checked<()> {
    let keys: BTreeSet<&str> = tags.iter().map(|tag| tag.key.as_str()).collect();
    if keys.len() < tags.len() {
        return invalid("Tag keys must be unique per resource.");
    }
    if tags.len() > MOST_TAGS {
        return invalid(format!("A resource has at most {MOST_TAGS} tags."));
    }
    for tag in tags {
        if tag.key.is_empty() || tag.key.chars().count() > 128 {
            return invalid("A tag key has 1 to 128 characters.");
        }
        if tag.value.as_ref().is_some_and(|value| value.chars().count() > 256) {
            return invalid(format!("The value of the tag \"{}\" has more than 256 characters.", tag.key));
        }
    }
    Ok(())
}

/// Checks a deployment for `service` and fills in what it leaves out.
pub fn deployment(service: &str, request: DeploymentRequest, settings: &Settings) -> Checked<DeploymentSpec> {
    let containers = request.containers.unwrap_or_default();
    if containers.is_empty() || containers.len() > MOST_CONTAINERS {
        return invalid(format!(
            "A deployment has 1 to {MOST_CONTAINERS} containers, not {}.",
            containers.len()
        ));
    }
    let containers = containers
        .into_iter()
        .map(|(name, request)| Ok((name.clone(), container(service, &name, request, settings)?)))
        .collect::<Checked<BTreeMap<_, _>>>()?;
    let public_endpoint =
        request.public_endpoint.map(|request| endpoint(&containers, request)).transpose()?;
    Ok(DeploymentSpec { containers, public_endpoint })
}

fn container(
    service: &str,
    name: &str,
    request: ContainerRequest,
    settings: &Settings,
) -> Checked<ContainerSpec> {
    check_name("Container name", name, 53)?;
    let image = required("image", request.image)?;
    check_image(service, name, &image, settings)?;
    let environment = request.environment.unwrap_or_default();
    check_environment(name, &environment, settings)?;
    let ports = request.ports.unwrap_or_default();
    for (port, protocol) in &ports {
        if port.parse::<u16>().is_ok_and(|port| port == 0) || port.parse::<u16>().is_err() {
            return invalid(format!("Container \"{name}\" has invalid port \"{port}\": give 1 to 65535."));
        }
        one_of("protocol", protocol, &PROTOCOLS)?;
    }
    Ok(ContainerSpec { image, command: request.command.unwrap_or_default(), environment, ports })
}

fn check_image(service: &str, container: &str, image: &str, settings: &Settings) -> Checked<()> {
    let wrong = |example: &str| {
        invalid(format!(
            "Container \"{container}\" has invalid image \"{image}\". Example of valid image: {example}."
        ))
    };
    match ImageReference::parse(image) {
        None => wrong("\"nginx:latest\""),
        Some(ImageReference::Stored) => {
            let parts: Vec<&str> = image[1..].split('.').collect();
            let is_good = matches!(parts[..], [of, label, version] if of == service
                && check_name("Label", label, 53).is_ok()
                && version.parse::<u32>().is_ok());
            if is_good { Ok(()) } else { wrong(&format!("\":{service}.{container}.123\"")) }
        }
        Some(ImageReference::Ecr(reference))
            if reference.image.digest.is_some() && settings.digest_references == DigestReferences::Refuse =>
        {
            wrong("\"nginx:latest\"")
        }
        Some(_) => Ok(()),
    }
}

fn check_environment(container: &str, environment: &Environment, settings: &Settings) -> Checked<()> {
    if environment.0.keys().any(|name| name.is_empty()) {
        return invalid(format!("Container \"{container}\" has an environment variable without a name."));
    }
    let bytes: usize = environment.0.iter().map(|(name, value)| name.len() + value.len()).sum();
    match settings.environment_max_bytes {
        Some(most) if bytes > most => invalid(format!(
            "The environment of container \"{container}\" has {bytes} bytes; at most {most} are allowed."
        )),
        _ => Ok(()),
    }
}

fn endpoint(containers: &BTreeMap<String, ContainerSpec>, request: EndpointRequest) -> Checked<EndpointSpec> {
    let name = required("publicEndpoint.containerName", request.container_name)?;
    let port = required("publicEndpoint.containerPort", request.container_port)?;
    let port = within("publicEndpoint.containerPort", port, 1, i64::from(u16::MAX))? as u16;
    let Some(container) = containers.get(&name) else {
        return invalid(format!(
            "The public endpoint names container \"{name}\", which the deployment has not."
        ));
    };
    match container.ports.get(&port.to_string()).map(String::as_str) {
        Some("HTTP" | "HTTPS") => {}
        Some(other) => {
            return invalid(format!("The public endpoint's port {port} is {other}, not HTTP or HTTPS."));
        }
        None => {
            return invalid(format!("Container \"{name}\" does not open the public endpoint's port {port}."));
        }
    }
    let health_check = health_check(request.health_check.unwrap_or_default())?;
    Ok(EndpointSpec { container_name: name, container_port: port, health_check })
}

fn health_check(request: HealthCheckRequest) -> Checked<HealthCheckSpec> {
    let defaults = HealthCheckSpec::default();
    let number = |name, value: Option<i64>, default, least, most| {
        value.map_or(Ok(default), |value| within(name, value, least, most))
    };
    let spec = HealthCheckSpec {
        healthy_threshold: number("healthyThreshold", request.healthy_threshold, 2, 1, i64::MAX)?,
        unhealthy_threshold: number("unhealthyThreshold", request.unhealthy_threshold, 2, 1, i64::MAX)?,
        timeout_seconds: number("timeoutSeconds", request.timeout_seconds, defaults.timeout_seconds, 2, 60)?,
        interval_seconds: number(
            "intervalSeconds",
            request.interval_seconds,
            defaults.interval_seconds,
            5,
            300,
        )?,
        path: request.path.unwrap_or(defaults.path),
        success_codes: request.success_codes.unwrap_or(defaults.success_codes),
    };
    if !spec.path.starts_with('/') {
        return invalid(format!("The health check's path \"{}\" does not start with a slash.", spec.path));
    }
    if !are_success_codes(&spec.success_codes) {
        return invalid(format!(
            "The health check's successCodes \"{}\" are not codes from 200 to 499, such as \"200,202\" or \"200-299\".",
            spec.success_codes
        ));
    }
    Ok(spec)
}

fn are_success_codes(codes: &str) -> bool {
    let code = |text: &str| text.parse::<u16>().ok().filter(|code| (200..=499).contains(code));
    codes.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => {
            matches!((code(first), code(last)), (Some(first), Some(last)) if first <= last)
        }
        None => code(part).is_some(),
    })
}

fn one_of(what: &str, value: &str, allowed: &[&str]) -> Checked<()> {
    if allowed.contains(&value) {
        return Ok(());
    }
    invalid(format!("The value \"{value}\" of {what} is not one of {}.", allowed.join(", ")))
}

fn within(what: &str, value: i64, least: i64, most: i64) -> Checked<i64> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let limit = if most == i64::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
    invalid(format!("The value {value} of {what} is not {limit}."))
}

fn invalid<T>(message: impl Into<String>) -> Checked<T> {
    Err(ApiError::invalid_input(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_anchored_pattern() {
        for good in ["a", "ab", "a-b", "a--b", "0", &"a".repeat(63)] {
            assert!(service_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-", "a-", "-a", "A", "a_b", "a.b", &"a".repeat(64)] {
            assert!(service_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn success_codes_are_codes_or_ranges_within_200_to_499() {
        for good in ["200", "200,202", "200-299", "200-299,404"] {
            assert!(are_success_codes(good), "{good}");
        }
        for bad in ["", "199", "500", "299-200", "200-", "200, 202", "2xx"] {
            assert!(!are_success_codes(bad), "{bad}");
        }
    }
}
