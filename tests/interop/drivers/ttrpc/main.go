// ttrpc by containerd's own client. Version 1.1 of it knows unary calls only.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// raw is a message that is its own bytes.
type raw struct{ bytes []byte }

func (m *raw) Reset()                   { m.bytes = nil }
func (m *raw) String() string           { return hex.EncodeToString(m.bytes) }
func (m *raw) ProtoMessage()            {}
func (m *raw) Marshal() ([]byte, error) { return m.bytes, nil }
func (m *raw) Unmarshal(from []byte) error {
	m.bytes = append([]byte(nil), from...)
	return nil
}

type call struct {
	ID        int    `json:"id"`
	Method    string `json:"method"`
	Body      string `json:"body"`
	TimeoutMs int    `json:"timeout_ms"`
}

type answer struct {
	ID      int     `json:"id"`
	Message *string `json:"message,omitempty"`
	Code    *int    `json:"code,omitempty"`
	Text    *string `json:"text,omitempty"`
}

type hello struct {
	Body string   `json:"body"`
	Can  []string `json:"can"`
}

var (
	mutex sync.Mutex
	out   = json.NewEncoder(os.Stdout)
)

func say(line interface{}) {
	mutex.Lock()
	defer mutex.Unlock()
	if err := out.Encode(line); err != nil {
		panic(err)
	}
}

func codeOf(err error) (int, string) {
	if err == nil {
		return int(codes.OK), ""
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return int(codes.DeadlineExceeded), err.Error()
	}
	found, _ := status.FromError(err)
	return int(found.Code()), found.Message()
}

func do(client *ttrpc.Client, c call) {
	ctx := context.Background()
	if c.TimeoutMs > 0 {
		limited, cancel := context.WithTimeout(ctx, time.Duration(c.TimeoutMs)*time.Millisecond)
		defer cancel()
		ctx = limited
	}
	body, err := hex.DecodeString(c.Body)
	if err != nil {
		panic(err)
	}
	name := strings.SplitN(c.Method, "/", 2)
	response := &raw{}
	code, text := codeOf(client.Call(ctx, name[0], name[1], &raw{body}, response))
	if code == int(codes.OK) {
		message := response.String()
		say(answer{ID: c.ID, Message: &message})
	}
	say(answer{ID: c.ID, Code: &code, Text: &text})
}

func main() {
	conn, err := net.Dial("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	client := ttrpc.NewClient(conn)
	say(hello{Body: "hex", Can: []string{"any_method", "raw", "fast"}})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var c call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			panic(err)
		}
		go do(client, c)
	}
}
