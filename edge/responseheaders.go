package edge

import (
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/http1"
)

// responseEdits are the changes that a listener's attributes make in the header of
// every response.
func responseEdits(r config.ResponseAttributes) http1.Edits {
	var list []http1.Edit
	if !r.Server {
		list = append(list, http1.Edit{Op: http1.RemoveField, Name: "Server"})
	}
	for _, h := range r.Headers() {
		list = append(list, http1.Edit{Op: http1.SetField, Name: h.Name, Value: h.Value})
	}
	if len(list) == 0 {
		return nil
	}
	return http1.Edits{list}
}
