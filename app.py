"""CDK entry: pick an environment, make the stacks, write them to cdk.out."""

from infra.build import main

if __name__ == "__main__":
    main()
