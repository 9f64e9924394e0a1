"""The desktop program: file browser, stepper, parameters, viewers, log and history."""
