"""Public fakes of the ports, and the contract checks that a fake and each adapter pass alike."""
