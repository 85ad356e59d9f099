"""As much of DeepPrivacy2 as its adapter touches, so that the adapter is tested where dp2 is not installed."""
