//! Wires the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(finish_release::handler::Context::from_env(), finish_release::handler::handle).await
}
