//! Wires the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(shared::planetscale::Writer::from_env(), deploy_deploy_request::handler::handle)
        .await
}
