# Lint and tests.
lint:
	@true
test:
	@true
format:
	@true
