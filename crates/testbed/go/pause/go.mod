module bringup.testbed/pause

go 1.25.0
