package admin

// Steering is how connections to prefixes and port ranges come to the edge.
type Steering struct {
	Datapath     string               `json:"datapath"`          // sk_lookup, or sockets: one for each address and port
	Why          string               `json:"why,omitempty"`     // sockets
	Program      uint32               `json:"program,omitempty"` // its number in the kernel
	Problem      string               `json:"problem,omitempty"` // why nothing is steered
	Destinations []SteeredDestination `json:"destinations,omitempty"`
}

// SteeredDestination is a prefix and range with the connection attempts, SYNs that
// were sent again included, that went there.
type SteeredDestination struct {
	Listener    string `json:"listener"`
	Destination string `json:"destination"`
	Steered     uint64 `json:"steered"`
	NoSocket    uint64 `json:"no_socket"` // refused: nobody listened
	Failed      uint64 `json:"failed"`    // refused: the kernel would not give it to the listener
}
