//! Lets the container service pull from the image repository: a CloudFormation custom resource.

pub mod handler;
