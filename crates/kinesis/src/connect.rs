//! From the configuration to a service: region, address, credentials, timeouts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use statera_config::{AwsCredentials, AwsRegion};
use statera_http::{Http, Origin, Timeouts};
use statera_model::{Name, codes};

use crate::Error;
use crate::api::Api;
use crate::credentials::{Credentials, machine_region, profile_region};
use crate::environment::Environment;

const TIMEOUTS: Timeouts =
    Timeouts { connect: Duration::from_secs(10), request: Duration::from_secs(30) };

/// What an ingress or egress says about its service.
pub(crate) struct Service<'s> {
    pub(crate) id: &'s Name,
    pub(crate) region: &'s AwsRegion,
    pub(crate) credentials: &'s AwsCredentials,
    pub(crate) timeouts: Timeouts,
}

/// The service. Looks for the region where the configuration leaves it open.
pub(crate) async fn connect(service: Service<'_>, environment: &Environment) -> Result<Api, Error> {
    let Service { id, region, credentials, timeouts } = service;
    let (endpoint, region) = match region {
        AwsRegion::Custom { endpoint, region } => (endpoint.clone(), region.clone()),
        AwsRegion::Specific(region) => (endpoint_of(region), region.clone()),
        AwsRegion::Default => {
            let region = usual_region(credentials, environment).await;
            let region = region.ok_or_else(|| Error::NoRegion { id: id.clone() })?;
            (endpoint_of(&region), region)
        }
    };
    let invalid =
        |reason: String| Error::Endpoint { id: id.clone(), endpoint: endpoint.clone(), reason };
    let (origin, _) = Origin::parse(&endpoint).ok_or_else(|| invalid("it is not a URL".into()))?;
    let authorities = environment.path("AWS_CA_BUNDLE");
    let http = Http::new(origin, timeouts, authorities.as_deref())
        .map_err(|error| invalid(format!("{error}; hint: `AWS_CA_BUNDLE` names them")))?;
    let credentials = Credentials::new(credentials.clone(), environment.clone());
    Ok(Api::new(http, region, Arc::new(credentials)))
}

fn endpoint_of(region: &str) -> String {
    let end = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://kinesis.{region}.amazonaws.com{end}")
}

async fn usual_region(credentials: &AwsCredentials, environment: &Environment) -> Option<String> {
    let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    if let Some(region) = variables.iter().find_map(|name| environment.get(name)) {
        return Some(region);
    }
    let profile = match credentials {
        AwsCredentials::Profile { name, .. } => Some(name.as_str()),
        _ => None,
    };
    match profile_region(profile, environment).await {
        Some(region) => Some(region),
        None => machine_region(environment).await,
    }
}

/// What properties of the Java client say that we have, too.
pub(crate) struct Properties<'p> {
    given: &'p BTreeMap<String, String>,
    used: Vec<&'static str>,
}

impl<'p> Properties<'p> {
    pub(crate) fn new(given: &'p BTreeMap<String, String>) -> Properties<'p> {
        Properties { given, used: Vec::new() }
    }

    /// A number of milliseconds. Names may begin with a small or a capital letter, as in StateFun.
    pub(crate) fn millis(&mut self, name: &'static str) -> Option<Duration> {
        self.used.push(name);
        let (_, text) = self.given.iter().find(|(given, _)| same(given, name))?;
        text.trim().parse().ok().filter(|millis| *millis > 0).map(Duration::from_millis)
    }

    pub(crate) fn number(&mut self, name: &'static str) -> Option<u32> {
        self.used.push(name);
        let (_, text) = self.given.iter().find(|(given, _)| same(given, name))?;
        text.trim().parse().ok().filter(|number| *number > 0)
    }

    pub(crate) fn timeouts(&mut self) -> Timeouts {
        let connect = self.millis("connectionTimeout").or_else(|| self.millis("connectTimeout"));
        let request = self.millis("requestTimeout").or_else(|| self.millis("socketTimeout"));
        Timeouts {
            connect: connect.unwrap_or(TIMEOUTS.connect),
            request: request.unwrap_or(TIMEOUTS.request),
        }
    }

    /// Says which ones have no effect.
    pub(crate) fn warn_of_others(&self, id: &Name) {
        for name in self.given.keys().filter(|name| !self.used.iter().any(|used| same(name, used)))
        {
            tracing::warn!(code = %codes::CONFIGURATION_DOUBTFUL, %id, property = name, "this property has no effect");
        }
    }
}

fn same(given: &str, name: &str) -> bool {
    let given = given.strip_prefix("aws.clientconfig.").unwrap_or(given);
    match (given.as_bytes().split_first(), name.as_bytes().split_first()) {
        (Some((first, rest)), Some((wanted, others))) => {
            first.eq_ignore_ascii_case(wanted) && rest == others
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_the_java_client_are_understood() {
        let given =
            [("SocketTimeout", "9"), ("aws.clientconfig.connectionTimeout", "7"), ("é", "1")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let timeouts = Properties::new(&given).timeouts();
        let expected = [7, 9].map(Duration::from_millis);
        assert_eq!([timeouts.connect, timeouts.request], expected);
    }

    #[tokio::test]
    async fn the_region_is_looked_for() {
        let environment = Environment::new(|name| match name {
            "AWS_DEFAULT_REGION" => Some("eu-central-1".into()),
            _ => None,
        });
        let region = usual_region(&AwsCredentials::Default, &environment).await;
        assert_eq!(region.as_deref(), Some("eu-central-1"));
        assert_eq!(endpoint_of("cn-north-1"), "https://kinesis.cn-north-1.amazonaws.com.cn");
    }
}
